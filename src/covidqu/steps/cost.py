"""What each run costs: settings in; one JSON file with parameters, floating-point operations and measured speeds out.

Operations are counted on PyTorch's meta device; a multiply-add is two. Speeds are measured on random images and masks,
which take as long as others, through the functions of `predict` and `train`: run it on an otherwise idle machine.
A speed that the file has already, or had before an engine deleted it (`.cost.json.kept`), stays for the same settings
and code; remove both to measure on another machine.
"""

import hashlib
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from covidqu.config.machine import Machine
from covidqu.config.params import Params, canonical
from covidqu.config.training import Run
from covidqu.data.batches import Batch
from covidqu.data.examples import LABELS, Statistics
from covidqu.files import Damaged, set_aside, write_text
from covidqu.gpus import one_device
from covidqu.imports import digest
from covidqu.locks import only_writer
from covidqu.steps.architectures import input_shape, on_meta
from covidqu.steps.predict import forward
from covidqu.stored import reading
from covidqu.systems.base import build
from covidqu.training.launch import launch, seed_all
from covidqu.training.learner import Learner
from covidqu.training.memory import keep_freed_memory
from covidqu.training.optimization import freeze

SECONDS, STEPS = 0.5, 5  # at least, per speed
PAIR = 2  # images in a counted training step: batch normalisation wants more than one
DEVICE = ("model", "image_px", "batch", "devices", "accelerator", "threads")
SETTINGS = {  # that decide on a count or a speed; runs that share them are looked at once
    "counts": ("model", "image_px", "flip_test", "freeze"),
    "inference": (*DEVICE, "evaluate_px", "flip_test", "test_precision"),
    "training": (*DEVICE, "precision", "deterministic", "ema", "freeze", "frozen_bn"),
}


def cost(params: Params, out: Path) -> None:
    """Write the versions and, under `runs`, base run -> `parameters`; FLOPs per image: `flops_forward` of one pass,
    `flops_deployed` of what `predict` does (twice that with `flip_test`), `flops_training` of a forward and a backward
    pass; and two speeds: `inference`, as deployed, and `training` (None for a run of 0 epochs, as `flops_training` is).

    A speed: `images_per_s`, `batch`, `device`, `threads`, `precision`, the run that it was `measured_as`, and the
    `identity` of settings and code; one of the same identity that `out` holds already is not measured again. Training
    is forward pass, loss, backward pass and optimiser on one device, without loading and augmenting images.
    ValueError for a device that is not there.
    """
    with only_writer(out):  # two that measure at once would halve each other's speed
        measure(params, out)


def measure(params: Params, out: Path) -> None:
    """As `cost`."""
    threads, known, found = (
        torch.get_num_threads(),
        measured(out.with_name(f".{out.name}.kept")) | measured(out),
        dict[str, Any](),
    )
    for name in params.base_runs:
        run = params.run(name)
        found[name] = dict(shared(known, name, run, "counts", counts))
        as_in_a_new_process(run.threads or threads)
        found[name]["inference"] = shared(known, name, run, "inference", inference_speed)
        as_in_a_new_process(run.threads or threads)
        found[name]["training"] = shared(known, name, run, "training", training_speed) if run.epochs else None
    as_in_a_new_process(threads)
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    write_text(out, json.dumps({"versions": versions, "runs": found}, indent=1) + "\n")


def shared(
    known: dict[str, Any], name: str, run: Run, kind: str, make: Callable[[Run], dict[str, Any]]
) -> dict[str, Any]:
    """What `make` says of this run, or said of an earlier one with the same settings; kept in `known`."""
    key = identity(run, kind)
    if key not in known:
        known[key] = make(run)
        if kind != "counts":
            known[key] |= {"measured_as": name, "identity": key}
            print(f"{name}: {kind} {known[key]['images_per_s']} images/s", file=sys.stderr)
    return known[key]


def measured(file: Path) -> dict[str, Any]:
    """Identity -> speed, of those that an earlier run of this step has left; a damaged file is set aside."""
    if not file.is_file():
        return {}
    try:
        with reading(file):
            runs = json.loads(file.read_text(encoding="utf-8"))["runs"]
            speeds = [entry[kind] for entry in runs.values() for kind in ("inference", "training")]
            return {speed["identity"]: speed for speed in speeds if speed and "identity" in speed}
    except Damaged as error:
        print(f"{error}, now {set_aside(file).name}; all speeds are measured anew", file=sys.stderr)
        return {}


def identity(run: Run, kind: str) -> str:
    """Hash of the settings and the code that decide on a count or a speed, and of PyTorch's version."""
    code = digest("steps.cost", f"systems.{run.model.system}")
    return hashlib.sha256(canonical([kind, deciding(run, kind), torch.__version__, code]).encode()).hexdigest()[:16]


def deciding(run: Run, kind: str) -> dict[str, Any]:
    """The settings of `run` that decide on its counts or its speed; of losses and optimiser only what kind they are."""
    config = run.model_dump(mode="json")
    chosen = {key: config[key] for key in SETTINGS[kind]} | {"tasks": run.tasks}
    if kind == "counts":
        chosen["trained"] = run.epochs > 0
    if kind == "training":
        losses = {task: [term.kind for term in terms] for task, terms in run.loss.items()}
        chosen |= {"loss": losses, "optimizer": run.optimizer.kind}
    return chosen


def as_in_a_new_process(threads: int) -> None:
    """Undo what a run sets for its whole process."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.allow_tf32 = True


def counts(run: Run) -> dict[str, Any]:
    """Parameters and FLOPs per image of one run."""
    system = on_meta(run)
    one, channels, *sides = input_shape(system, run)
    once = operations(system, torch.empty(one, channels, *sides, device="meta"))
    training = None
    if run.epochs:
        freeze(run, system.train())
        whole = operations(system, torch.empty(PAIR, channels, *sides, device="meta"), backward=True)
        training, rest = divmod(whole, PAIR)
        assert not rest, "two images cost other than twice one image"
    return {
        "parameters": system.parameter_count(),
        "flops_forward": once,
        "flops_deployed": once * (2 if run.flip_test else 1),
        "flops_training": training,
    }


def operations(model: nn.Module, image: Tensor, *, backward: bool = False) -> int:
    """FLOPs of a forward pass over (B, C, H, W) and, where asked, of a backward pass to all trainable parameters.

    Those of convolutions, matrix products and attention; what works pixel by pixel (normalisation, activation,
    interpolation, losses) is not counted. A multiply-add is two FLOPs.
    """
    rules = {torch.ops.aten.convolution_backward: convolution_gradients}
    with FlopCounterMode(display=False, custom_mapping=rules) as counter, torch.set_grad_enabled(backward):
        outputs = model(image)
        if backward:
            torch.stack([values.sum() for values in outputs.values()]).sum().backward()
    return counter.get_total_flops()


def convolution_gradients(
    grad_shape: list[int], image_shape: list[int], weight_shape: list[int], *rest: Any, **_: Any
) -> int:
    """Each of the two gradients costs what the convolution itself does.

    In place of PyTorch's own rule, which counts that of grouped weights as if they were not grouped: 240 times too much
    for a depthwise convolution of 240 channels.
    """
    _bias, _stride, _padding, _dilation, transposed, _output_padding, _groups, wanted = rest
    return sum(wanted[:2]) * conv_flop_count(image_shape, weight_shape, grad_shape, transposed)


def inference_speed(run: Run) -> dict[str, Any]:
    """Images per second as `predict` works: in 32 bit, with the mirror image where the run has `flip_test`."""
    device = one_device(run.accelerator)
    torch.backends.cudnn.allow_tf32 = False
    if device.type == "cpu":
        keep_freed_memory()
    seed_all(run.seed, 0, 0)
    model = build(run.model, run.tasks, run.image_px).to(device, memory_format=torch.channels_last).eval()
    made, statistics = random_batch(run, 2 * run.batch), some_statistics(run, model.channels)
    taken = seconds(lambda: forward(model, made, statistics, device, run), device)
    return speed(2 * run.batch, taken, device, run.test_precision)


def training_speed(run: Run) -> dict[str, Any]:
    """Images per second of training steps on one of the run's devices, with its share of the batch."""
    single = run.model_copy(update={"devices": 1, "batch": run.batch // run.devices})
    fabric = launch(single, Machine())
    seed_all(run.seed, 0, 0)
    model = build(run.model, run.tasks, run.image_px)
    learner, made = (
        Learner(single, fabric, model, {}, some_statistics(run, model.channels)),
        random_batch(run, single.batch),
    )
    learner.train()
    return speed(single.batch, seconds(lambda: learner.update(made), fabric.device), fabric.device, run.precision)


def random_batch(run: Run, size: int) -> Batch:
    """Noise in place of images and masks; labels that the run's class head knows take turns."""
    rng, shape = np.random.default_rng(run.seed), (size, run.image_px, run.image_px)
    image = rng.integers(0, 256, shape, np.uint8)
    masks = rng.integers(0, 4, shape, np.uint8) | np.uint8(4)
    labels = [LABELS.index(label) for label in run.class_map or LABELS]
    arrays = (np.arange(size), image, masks, np.resize(np.array(labels, np.int64), size))
    return Batch(*(torch.from_numpy(array) for array in arrays))


def some_statistics(run: Run, channels: int) -> Statistics | None:
    """Mean and deviation as many as a run normalises with."""
    return None if run.normalise == "unit" else ((0.5,) * channels, (0.25,) * channels)


def seconds(step: Callable[[], object], device: torch.device) -> float:
    """Median time of a step after one to warm up: of `STEPS` steps and `SECONDS` seconds at least."""
    taken: list[float] = []
    warm = False
    while len(taken) < STEPS or sum(taken) < SECONDS:
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if warm:
            taken.append(time.perf_counter() - started)
        warm = True
    return median(taken)


def speed(batch: int, taken: float, device: torch.device, precision: str) -> dict[str, Any]:
    """One entry of the file; images per second to four digits: the fifth is noise."""
    return {
        "images_per_s": float(f"{batch / taken:.4g}"),
        "batch": batch,
        "precision": precision,
        "device": device_name(device),
        "threads": torch.get_num_threads(),
    }


def device_name(device: torch.device) -> str:
    """Model of the GPU or of the CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine() or "CPU"
