"""Where the time goes, as ratios within one run (absolute rates depend on the machine and its load).

    uv run python benchmarks/run.py [--images 96] [--out results/benchmarks.md]

Works on a phantom data set that it makes itself; each figure is the median of `REPEATS` alternating measurements.
"""

import argparse
import multiprocessing
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch

from covidqu.config.data import Phantom
from covidqu.config.evaluation import Bootstrap
from covidqu.config.params import load
from covidqu.data import augment
from covidqu.data.batches import LABELS, Examples, batches, in_sequence, intensity_statistics
from covidqu.data.index import open_packed
from covidqu.evaluate.scores import block_scores
from covidqu.evaluate.statistics import bootstrap_mean
from covidqu.ingest.pack import pack
from covidqu.ingest.phantom import write_phantom
from covidqu.systems.base import build, prepare
from covidqu.training.losses import total_loss
from covidqu.training.memory import keep_freed_memory

REPEATS = 5
STEPS: list[Callable[[bool], None]] = []  # of a child process: the step that it repeats
ROOT = Path(__file__).resolve().parent.parent


def compare(
    subject: str, unit: int, slow: tuple[str, Callable[[], object]], fast: tuple[str, Callable[[], object]]
) -> str:
    """One line: both alternately, cost per image of each, and the first over the second."""
    seconds: dict[str, list[float]] = {slow[0]: [], fast[0]: []}
    for _, call in (slow, fast):
        call()  # warm caches and code paths
    for _ in range(REPEATS):
        for name, call in (slow, fast):
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    first, second = (median(seconds[name]) / unit * 1e3 for name in (slow[0], fast[0]))
    return f"| {subject} | {slow[0]}: {first:.2f} ms | {fast[0]}: {second:.2f} ms | {first / second:.2f} |"


def decode_all(archive: Path, names: list[str]) -> None:
    with zipfile.ZipFile(archive) as file:
        for name in names:
            cv2.imdecode(np.frombuffer(file.read(name), np.uint8), cv2.IMREAD_UNCHANGED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    third = arguments.images // 3
    with tempfile.TemporaryDirectory() as folder:
        archive, packed = Path(folder) / "phantom.zip", Path(folder) / "packed"
        few = {"Train": (third, third, third), "Val": (0, 0, 0), "Test": (0, 0, 0)}
        write_phantom(archive, Phantom(seed=0, lung={}, infection=few))
        pack(archive, packed)
        lines = ["| what, per image | one way | another | ratio |", "|---|---|---|---|"]
        lines += [*reading(archive, packed), *training(packed), *scoring(packed), *resampling()]
    text = "\n".join(lines) + "\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def reading(archive: Path, folder: Path) -> list[str]:
    """PNG files decoded every epoch against packed arrays; augmentation in line against one batch ahead."""
    data = open_packed(folder)
    rows = data.rows("infection")
    examples = Examples(data, rows, np.full((1, 8192), 255, np.uint8), 256)
    with zipfile.ZipFile(archive) as file:
        names = [n for n in file.namelist() if n.endswith(".png")]
    positions = in_sequence(len(rows), 8)
    transform = augment.build(load([ROOT / "params.yaml"]).run("unetpp-b3").augment)
    plain = lambda: [examples.batch(p, None) for p in positions]  # noqa: E731
    return [
        compare(
            "image and masks", len(rows), ("decode PNG", lambda: decode_all(archive, names)), ("packed arrays", plain)
        ),
        compare(
            "augmentation (paper 001)",
            len(rows),
            ("with", lambda: [examples.batch(p, transform) for p in positions]),
            ("without", plain),
        ),
        compare(
            "augment, then 4 ms of device work",
            len(rows),
            ("in line", lambda: [(examples.batch(p, transform), time.sleep(0.004 * len(p))) for p in positions]),
            (
                "one batch ahead",
                lambda: [time.sleep(0.004 * len(b.rows)) for b in batches(examples, positions, transform)],
            ),
        ),
    ]


def training(folder: Path) -> list[str]:
    """A training step of the reduced U-Net in 32 bit and in bfloat16, and of our network with memory asked for anew."""
    step, subject = training_step(folder, "unet-roi-infection"), "training step, U-Net 16, 128 px"
    both = compare(subject, 16, ("float32", lambda: step(False)), ("bfloat16", lambda: step(True)))
    start = multiprocessing.get_context("spawn").Pool  # what the C library was told once holds for its process
    with start(1, begin, (folder, False)) as anew, start(1, begin, (folder, True)) as kept:
        ways = [("fresh and filled", lambda: anew.apply(again)), ("kept", lambda: kept.apply(again))]
        return [both, compare("memory of a training step, `reference`, 128 px", 16, *ways)]


def training_step(folder: Path, name: str) -> Callable[[bool], None]:
    """A step of a run of `lite` on sixteen images, with autocast or without."""
    run = load([ROOT / "params.yaml", ROOT / "workflow/overlays/lite.yaml"]).run(name)
    data = open_packed(folder)
    every = Examples(data, data.rows("infection"), np.full((1, 8192), 255, np.uint8), run.image_px)
    batch, targets = every.batch(np.arange(16), None), dict[str, torch.Tensor]()
    model = build(run.model, run.tasks, run.image_px).to(memory_format=torch.channels_last).train()
    optimizer, statistics = torch.optim.Adam(model.parameters()), intensity_statistics(run, every)
    for task in run.masks:
        targets[task] = torch.from_numpy(batch.target(task)).unsqueeze(1)
    label = torch.from_numpy(batch.label)
    if run.class_map:
        targets["class"] = torch.tensor([run.class_map.get(name, -1) for name in LABELS])[label]

    def step(enabled: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = model(prepare(torch.from_numpy(batch.image), model.channels, statistics))
        total_loss(run.loss, logits, targets, dict.fromkeys(run.masks, 1.0), label).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def begin(folder: Path, keep: bool) -> None:
    """A process that trains as runs do, or as they would if memory were left to the defaults."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = not keep
    if keep:
        keep_freed_memory()
    STEPS.append(training_step(folder, "reference"))


def again() -> None:
    """One step in such a process."""
    STEPS[0](False)


def scoring(folder: Path) -> list[str]:
    """Scoring image by image against blocks of sixteen."""
    data = open_packed(folder)
    rng = np.random.default_rng(0)
    truth = np.unpackbits(np.asarray(data.infection_masks[:32]), axis=1).reshape(-1, 256, 256).astype(bool)
    logits = (truth * 4.0 - 2 + rng.normal(size=truth.shape)).astype(np.float16)
    blocks = lambda step: [block_scores(logits[i : i + step], truth[i : i + step]) for i in range(0, 32, step)]  # noqa: E731
    return [compare("score", 32, ("one by one", lambda: blocks(1)), ("blocks of 16", lambda: blocks(16)))]


def resampling() -> list[str]:
    """Intervals of the mean Dice of 20 runs: images drawn for each run against draws that are counted once and kept."""
    config, rng = Bootstrap(resamples=10_000, confidence=0.95, seed=0), np.random.default_rng(0)
    runs = rng.random((20, 583))

    def drawn_anew(values: np.ndarray) -> np.ndarray:
        images = np.random.default_rng(config.seed).integers(0, len(values), (config.resamples, len(values)))
        return np.quantile(values[images].mean(axis=1), [0.025, 0.975])

    anew, kept = (
        lambda: [drawn_anew(values) for values in runs],
        lambda: [bootstrap_mean(values, config) for values in runs],
    )
    return [
        compare(
            "bootstrap, 10,000 resamples of 20 runs, per run", len(runs), ("drawn anew", anew), ("kept draws", kept)
        )
    ]


if __name__ == "__main__":
    main()
