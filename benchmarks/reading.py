"""Reading one's own X-rays: the graphs on ONNX Runtime against the same network in PyTorch, and the goals of a reader.

The network is `reference` of workflow/overlays/night.yaml at 256 px, untrained: speed does not depend on its weights.
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from measuring import Line, in_turns
from PIL import Image

from covidqu.config.params import load
from covidqu.data.examples import IMAGENET_MEAN, IMAGENET_STD
from covidqu.data.index import open_packed
from covidqu.reading.model import Graphs
from covidqu.steps.graph import Reader, Trained, exported, halve
from covidqu.systems.base import build
from covidqu.systems.weights import save_weights

IMAGES = 64
BATCH = 8  # of PyTorch: more are no faster on a CPU
FIRST = """
import sys, numpy as np
from covidqu.reading.model import Graphs
import covidqu.reading.pictures, covidqu.reading.reading
images = np.load(sys.argv[1])
Graphs(sys.argv[2:], {threads})(images)
for line in open("/proc/self/status"):  # of this program alone: getrusage also counts what started it
    if line.startswith("VmHWM:"):
        print(int(line.split()[1]) / 1024)
"""


def measure(place) -> list[Line]:
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    images = np.asarray(open_packed(place.packed).images[:IMAGES])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network, graphs = networks(folder)
        files = one_and_all(folder, images)
        eager_ms, full_ms, half_ms = in_turns(
            len(images),
            lambda: eager(network, images),
            *(partial(Graphs([graph], threads), images) for graph in graphs.values()),
            repeats=3,
        )
        half = graphs["float16"]
        memory = [cold(files[0], [half], threads), cold(files[1], [half] * 3, threads)]
        first_ms, three_ms = in_turns(
            1,
            *(partial(cold, files[0], [half] * count, threads) for count in (1, 3)),
            repeats=3,
        )
        files_ms = in_turns(len(images), *(partial(whole, folder, images, seeds) for seeds in (1, 3)), repeats=1)
    what = f"X-ray read at 256 px, one seed and its mirror image, {threads} cores"
    return [
        Line(what, "PyTorch eager", eager_ms, half_ms, eager_ms / half_ms, ">= 1", 1),
        Line(what, "weights stored in float32", full_ms, half_ms, full_ms / half_ms),
        Line(what, "25 a second", 40.0, half_ms, 40.0 / half_ms, ">= 1", 1),
        *(
            Line(
                f"`covidqu read`, {IMAGES} X-rays with all files, {seeds}, {threads} cores",
                "25 a second",
                40.0,
                ms,
                40.0 / ms,
            )
            for seeds, ms in zip(("one seed", "three seeds"), files_ms, strict=True)
        ),
        Line("first X-ray of a new process, one seed", "3 s", 3e3, first_ms, first_ms / 3e3, "<= 1", 1, True),
        Line("first X-ray of a new process, three seeds", "3 s", 3e3, three_ms, three_ms / 3e3, "<= 1", 1, True),
        Line("memory at most, MB: one X-ray, one seed", "1,000", 1e3, memory[0], memory[0] / 1e3, "<= 1", 1, True),
        Line("memory at most, MB: 64, three seeds", "1,000", 1e3, memory[1], memory[1] / 1e3, "<= 1", 1, True),
    ]


def networks(folder: Path) -> tuple[Reader, dict[str, Path]]:
    """The network in PyTorch, and its graphs by how weights are stored."""
    settings = load([Path("params.yaml"), Path("workflow/overlays/night.yaml")]).run("reference")
    weights, graphs = folder / "weights.safetensors", {}
    system = build(settings.model, settings.tasks, settings.image_px)
    save_weights(weights, system.state_dict(), {"scope": "model"})
    trained = Trained("reference", settings, weights, (IMAGENET_MEAN, IMAGENET_STD))
    made = exported(trained, None)
    for stored in ("float32", "float16"):
        graphs[stored] = folder / f"{stored}.onnx"
        if stored == "float16":
            halve(made.graph)
        onnx.save(made, graphs[stored])
    return Reader(trained).to(memory_format=torch.channels_last), graphs


@torch.inference_mode()
def eager(network: Reader, images: np.ndarray) -> None:
    for start in range(0, len(images), BATCH):
        network(torch.from_numpy(images[start : start + BATCH]))


def whole(folder: Path, images: np.ndarray, seeds: int) -> None:
    """The command, with the bundle that comes with the package."""
    pictures, out = folder / "pictures", folder / "readings"
    pictures.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(pictures / f"{number}.png")
    command = [sys.executable, "-m", "covidqu", "read", str(pictures), "--out", str(out), "--seeds", str(seeds)]
    subprocess.run(command, capture_output=True, check=True)


def one_and_all(folder: Path, images: np.ndarray) -> tuple[Path, Path]:
    """One image and all of them, as files."""
    files = folder / "one.npy", folder / "all.npy"
    for file, some in zip(files, (images[:1], images), strict=True):
        np.save(file, some)
    return files


def cold(images: Path, graphs: list[Path], threads: int) -> float:
    """Read images in a new process; its peak memory in MB."""
    command = [sys.executable, "-c", FIRST.format(threads=threads), str(images), *map(str, graphs)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
