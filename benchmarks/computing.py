"""Training and prediction: the loop against the bare step, convolutions against the whole, precisions and batches."""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from measuring import Line, in_turns
from torch.profiler import ProfilerActivity, profile

from covidqu.config.machine import Machine
from covidqu.config.params import load
from covidqu.config.training import Run
from covidqu.data.batches import Batches, shuffled
from covidqu.data.examples import Examples, examples
from covidqu.data.index import open_packed
from covidqu.steps.predict import forward
from covidqu.systems.base import build
from covidqu.training.launch import launch, seed_all
from covidqu.training.learner import Learner
from covidqu.training.loop import Loop
from covidqu.training.resume import State

STATISTICS = (0.5,), (0.25,)
WIDE = ("unet-roi-infection", "swin-dual-infection", "unetpp-b3")


def measure(place) -> list[Line]:
    data = open_packed(place.packed)
    runs = load([Path("params.yaml"), Path("workflow/overlays/lite.yaml")])
    lines = []
    for name in ("reference", "unet-roi-infection"):
        run = runs.run(name).model_copy(update={"precision": "32-true"})
        some = examples(data, data.rows("infection")[:96], np.full((1, 8192), 255, np.uint8), run.image_px)
        lines += [loop(name, run, some), *predictions(name, run, some)]
    full = load([Path("params.yaml")])
    for name in WIDE:
        lines += convolutions(name, full.run(name), data)
    return lines


def learner_of(run: Run) -> Learner:
    fabric = launch(run, Machine())
    seed_all(0, 0, 0)
    model = build(run.model, run.tasks, run.image_px)
    return Learner(run, fabric, model, dict.fromkeys(run.masks, 1.0), None if model.channels == 1 else STATISTICS)


def loop(name: str, run: Run, some: Examples) -> Line:
    """An epoch as it is trained, against as many updates with one batch that is there already."""
    learner = learner_of(run)
    with tempfile.TemporaryDirectory() as folder:
        whole = Loop(name, learner, some, some, State(name, Path(folder) / "last.pt", ""), Machine())
        steps = len(shuffled(len(some), run.batch, run.seed, 1))
        batch = Batches(some)[1, np.arange(run.batch)]
        bare_ms, ms = in_turns(
            steps * run.batch, lambda: [learner.update(batch) for _ in range(steps)], lambda: whole.train_pass(1)
        )
    return Line(
        f"training step, {name}, {run.image_px} px", "a fixed batch", bare_ms, ms, bare_ms / ms, ">= 0.95", 0.95
    )


def predictions(name: str, run: Run, some: Examples) -> list[Line]:
    """Batches of several sizes, and bfloat16 with the agreement of its masks."""
    device = torch.device("cpu")
    model = build(run.model, run.tasks, run.image_px).to(memory_format=torch.channels_last).eval()
    channels = None if model.channels == 1 else STATISTICS
    sizes = (4, 16, 32)
    batches = {size: [Batches(some)[1, part] for part in np.split(np.arange(96), 96 // size)] for size in sizes}
    times = in_turns(96, *(
        lambda size=size: [forward(model, b, channels, device, run) for b in batches[size]] for size in sizes
    ))  # fmt: skip
    return [
        Line(f"prediction, {name}, batches of {size}", f"batches of {sizes[-1]}", times[-1], ms, times[-1] / ms)
        for size, ms in zip(sizes[:-1], times[:-1], strict=True)
    ]


def convolutions(name: str, run: Run, data) -> list[Line]:
    """Convolutions and matrix products: their share of a training step of the full-size network; what the rest is."""
    run = run.model_copy(update={"batch": 4, "accelerator": "cpu", "precision": "32-true", "threads": 2})
    some = examples(data, data.rows("infection")[:4], np.full((1, 8192), 255, np.uint8), run.image_px)
    learner, batch = learner_of(run), Batches(some)[1, np.arange(4)]
    learner.update(batch)
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        started = time.perf_counter()
        for _ in range(2):
            learner.update(batch)
        whole = (time.perf_counter() - started) / 8 * 1e3
    own = {event.key: event.self_cpu_time_total / 8e3 for event in seen.key_averages()}
    inside = sum(ms for key, ms in own.items() if is_product(key))
    rest = sorted(((ms, key) for key, ms in own.items() if not is_product(key)), reverse=True)[:4]
    words = ", ".join(f"{key.removeprefix('aten::')} {ms / whole:.0%}" for ms, key in rest)
    return [
        Line(
            f"full-size step, {name}",
            f"its convolutions and matrix products (rest: {words})",
            inside,
            whole,
            inside / whole,
            ">= 0.8",
            0.8,
        )
    ]


def is_product(operation: str) -> bool:
    """Whether an operation is a convolution or a product of matrices, forward or backward."""
    return "conv" in operation or operation.removeprefix("aten::") in {"mm", "bmm", "addmm", "baddbmm"}
