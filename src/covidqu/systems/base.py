"""What every system is: uint8 images in, logits out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from covidqu.config.models import Model, Task
from covidqu.systems.weights import read_weights


class System(nn.Module, ABC):
    """A network for some tasks. Subclasses build layers in `__init__` and map (B, C, H, W) to logits in `forward`."""

    channels: ClassVar[int]

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        super().__init__()
        self.tasks = tasks

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """(B, `channels`, H, W) float -> logits for each task: (B, 1, H, W), of `class` (B, K)."""

    def pretrained_part(self) -> nn.Module | None:
        """The module that weights from the hub fit; None when the system has none."""
        return None

    def parts(self) -> dict[str, list[nn.Module]]:
        """Name -> modules that share out all parameters; what the paper lists where it does."""
        return {name: [module] for name, module in self.named_children()}

    def blocks(self) -> dict[str, list[nn.Module]]:
        """Name -> modules that run one after the other, finer than `parts`; again all parameters, once."""
        return {name: [module] for name, module in opened(self) if not isinstance(module, nn.Identity)}

    def cam_layer(self) -> nn.Module | None:
        """The module whose output Grad-CAM weighs for the class logits; None when the system has none."""
        return None

    def classify_masks(self, masks: Tensor) -> Tensor | None:
        """Class logits (B, K) from masks (B, 1 or 2: lung, infection, H, W) alone; None when the head sees more."""
        return None

    def parameter_count(self) -> int:
        """Number of values in all parameters (buffers such as running means not counted)."""
        return sum(p.numel() for p in self.parameters())


def opened(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Children with their dotted names; lists and dicts of modules, and what holds one, opened in their turn."""
    lists = (nn.ModuleList, nn.ModuleDict)
    for name, child in module.named_children():
        if isinstance(child, lists) or any(isinstance(inner, lists) for inner in child.children()):
            yield from opened(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def double_conv(inner: int, outer: int) -> nn.Sequential:
    """Two times 3x3 convolution, batch normalisation, ReLU; (B, inner, H, W) -> (B, outer, H, W)."""
    layers: list[nn.Module] = []
    for channels in (inner, outer):
        layers += [nn.Conv2d(channels, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def prepare(image: Tensor, channels: int, statistics: Sequence[Any] | None = None) -> Tensor:
    """(B, H, W) uint8 -> (B, channels, H, W) float32: /255, grey repeated, then `statistics`: (means, deviations),
    numbers or tensors on the image's device.
    """
    x = image.unsqueeze(1).float().div_(255).expand(-1, channels, -1, -1)
    if statistics is not None:
        mean, std = (torch.as_tensor(values, device=x.device).view(1, -1, 1, 1) for values in statistics)
        x = (x - mean) / std
    return x.contiguous(memory_format=torch.channels_last)


def build(model: Model, tasks: tuple[Task, ...], px: int) -> System:
    """The system named by `model.system` for images of `px` pixels a side: `create` of the module of that name."""
    return import_module(f"covidqu.systems.{model.system}").create(model, tasks, px)


def load_weights(system: System, path: Path) -> str:
    """Load a file of weights and return its `scope`: `none` (random), `encoder` (from the hub) or `model` (a run).

    ValueError when names or shapes do not fit: nothing is loaded in part.
    """
    tensors, about = read_weights(path)
    scope = about["scope"]
    if scope == "none":
        return scope
    target = system.pretrained_part() if scope == "encoder" else system
    if target is None:
        raise ValueError(f"{path}: holds encoder weights, {type(system).__name__} has no encoder of that kind")
    own = target.state_dict()
    wrong = sorted(k for k in own.keys() | tensors.keys() if k not in own or k not in tensors)
    wrong += sorted(k for k in own.keys() & tensors.keys() if own[k].shape != tensors[k].shape)
    if wrong:
        raise ValueError(
            f"{path}: {len(wrong)} of {len(own)} tensors do not fit {type(system).__name__}, first '{wrong[0]}'; "
            "`init` must name weights of the same model settings (width, encoder, decoder)"
        )
    target.load_state_dict(tensors)
    return scope
