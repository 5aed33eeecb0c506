"""What the networks are made of: settings in, one JSON file of counts and shapes out; nothing is trained or loaded.

Everything is built on PyTorch's meta device, which keeps shapes and no values.
"""

import json
import re
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from covidqu.config.models import CbamMtl, ReconMtl, Reference, SwinDual, UnetppB3, UnetRoi
from covidqu.config.params import Params
from covidqu.config.training import Run
from covidqu.files import write_text
from covidqu.report.core.provenance import full
from covidqu.systems.base import System, build

NETS = {"unet": "U-Net", "unetpp": "U-Net++", "resunet": "ResUNet"}


def architectures(params: Params, out: Path) -> None:
    """Write base run -> system, network, model settings, tasks, input, parameters as configured, and under `paper` the
    parameters, parts and layers with the settings of the full run. Shapes are (1, C, H, W), of class logits (1, K).
    """
    found = {name: describe(params.run(name), full(params, name)) for name in params.base_runs}
    write_text(out, json.dumps(found, indent=1) + "\n")


def describe(run: Run, full: dict[str, Any]) -> dict[str, Any]:
    """Entry of one run; `full`: dotted key -> the paper's setting."""
    system, paper = on_meta(run), with_model_of(run, full)
    printed = on_meta(paper)
    return {
        "system": run.model.system,
        "net": network(run),
        "model": run.model.model_dump(mode="json"),
        "tasks": list(run.tasks),
        "input": input_shape(system, run),
        "parameters": system.parameter_count(),
        "paper": {
            "net": network(paper),
            "parameters": printed.parameter_count(),
            "input": input_shape(printed, paper),
            "parts": [{"name": name, "parameters": count(modules)} for name, modules in printed.parts().items()],
            "layers": layers(printed, input_shape(printed, paper)),
        },
    }


def network(run: Run) -> str:
    """The network in words."""
    match run.model:
        case UnetRoi():
            return "U-Net"
        case UnetppB3(encoder=encoder):
            return f"U-Net++ ({encoder})"
        case Reference(gate=gate):
            return f"{_unet(run)}{', infection gated by its lungs' if gate else ''}"
        case SwinDual():
            return "Swin encoder with two U-Net decoders"
        case CbamMtl(net=net, cbam=cbam):
            return f"{NETS[net]} {'with' if cbam else 'without'} CBAM"
        case ReconMtl(net="cnn8"):
            return "CNN-8"
        case ReconMtl():
            return _unet(run)
    raise AssertionError(run.model)


def _unet(run: Run) -> str:
    return "U-Net" if run.tasks == ("infection",) else "multi-task U-Net"


def with_model_of(run: Run, full: dict[str, Any]) -> Run:
    """The run with the paper's settings of the model and of the image size; its other settings stay.

    ValueError for a setting that the model has not or does not accept.
    """
    config = run.model_dump(mode="json")
    for key, value in full.items():
        if key == "image_px":
            config["image_px"] = value
        elif key.startswith("model."):
            config["model"][key.removeprefix("model.")] = value
    return Run.model_validate(config)


def on_meta(run: Run) -> System:
    """The run's network without values."""
    with torch.device("meta"):
        return build(run.model, run.tasks, run.image_px).eval()


def input_shape(system: System, run: Run) -> list[int]:
    """(1, channels, height, width)."""
    return [1, system.channels, run.image_px, run.image_px]


def count(modules: list[nn.Module]) -> int:
    """Values in the parameters of the modules."""
    return sum(p.numel() for module in modules for p in module.parameters())


@torch.inference_mode()
def layers(system: System, shape: list[int]) -> list[dict[str, Any]]:
    """The system's blocks in the order in which they end: name, kind, shape of the output and parameters.

    Blocks that the forward pass does not use come last, without a shape.
    """
    found: dict[str, Any] = {}
    blocks = {part: kept for name, whole in system.blocks().items() for part, kept in opened(name, whole).items()}

    def watch(name: str, modules: list[nn.Module]) -> None:
        tokens = any(isinstance(m, nn.LayerNorm) for module in modules for m in module.modules())
        modules[-1].register_forward_hook(lambda _, __, out: found.update({name: shapes(out, tokens)}))

    for name, modules in blocks.items():
        watch(name, modules)
    system(torch.empty(shape, device="meta"))
    return [
        {"name": name, "kind": kind(blocks[name]), "out": found.get(name), "parameters": count(blocks[name])}
        for name in [*found, *(name for name in blocks if name not in found)]
    ]


def opened(name: str, modules: list[nn.Module]) -> dict[str, list[nn.Module]]:
    """Stages of a block that is a whole `encoder` or `decoder` in one module; any other block as it is.

    Single layers make a stage together, each block of layers one of its own; pooling opens a stage.
    """
    if name not in ("encoder", "decoder") or len(modules) > 1:
        return {name: modules}
    stages: list[list[nn.Module]] = []
    for child in chain.from_iterable(c if isinstance(c, nn.ModuleList) else [c] for c in modules[0].children()):
        only_pooled = bool(stages) and [type(module) for module in stages[-1]] == [nn.MaxPool2d]
        block = any(True for _ in child.children()) and not only_pooled
        if isinstance(child, nn.Identity):
            continue
        if not stages or block or isinstance(child, nn.MaxPool2d):
            stages.append([])
        stages[-1].append(child)
    return {f"{name} stage {place}": stage for place, stage in enumerate(stages, start=1)}


def shapes(out: Any, tokens: bool = False) -> list[Any]:
    """Shape of a tensor, or those of several; of `tokens` with the channels last, as layer normalisation wants them,
    the order is turned to (1, C, H, W).
    """
    if isinstance(out, Tensor):
        return list((out.movedim(-1, 1) if tokens and out.ndim == 4 else out).shape)
    return [shapes(one, tokens) for one in (out.values() if isinstance(out, dict) else out)]


def kind(modules: list[nn.Module]) -> str:
    """What the modules do, in few words: `2 x (conv 3x3, BN, ReLU)`."""
    return repeated(list(chain.from_iterable(map(words, modules))))


def words(module: nn.Module) -> list[str]:
    """One module; a sequence word by word."""
    match module:
        case nn.Sequential():
            return list(chain.from_iterable(map(words, module)))
        case nn.Conv2d() | nn.ConvTranspose2d():
            name = "transposed conv" if isinstance(module, nn.ConvTranspose2d) else "conv"
            stride = f" /{module.stride[0]}" if module.stride[0] > 1 else ""
            return [f"{name} {'x'.join(map(str, module.kernel_size))}{stride}"]
        case nn.BatchNorm2d():
            return ["BN"]
        case nn.LayerNorm():
            return ["LN"]
        case nn.MaxPool2d():
            return [f"max-pool {module.kernel_size}x{module.kernel_size}"]
        case nn.Linear():
            return [f"dense {module.out_features}"]
        case nn.ReLU() | nn.ELU():
            return [type(module).__name__]
        case nn.Dropout():
            return [f"dropout {module.p:g}"]
    if isinstance(module, nn.Identity) or (list(module.children()) and not any(map(words, module.children()))):
        return []
    return [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(module).__name__).lower().replace("cbam", "CBAM")]


def repeated(names: list[str]) -> str:
    """Names with commas; a pattern that fills the list again and again once, with its number."""
    for length in range(1, len(names)):
        times, rest = divmod(len(names), length)
        if not rest and names == names[:length] * times:
            return f"{times} x {names[0]}" if length == 1 else f"{times} x ({', '.join(names[:length])})"
    return ", ".join(names)
