"""Paper 004: one encoder, a decoder each for reconstruction and infection, dense layers for COVID against the rest.

The parts are those of the tasks asked for: infection alone is the paper's U-Net (31,031,685 parameters), all three
its multi-task network (44,343,947). `net: cnn8` is its classifier without masks (917,953). No batch normalisation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covidqu.config.models import ReconMtl, Task
from covidqu.systems.base import System

LEVELS = 5
PRIOR = -2.2  # log-odds of 0.1, near the share of infected pixels in COVID-19 images (0.14)


def convs(inner: int, outer: int, number: int = 2) -> nn.Sequential:
    """3x3 convolutions with bias, ReLU after each."""
    layers: list[nn.Module] = []
    for i in range(number):
        layers += [nn.Conv2d(outer if i else inner, outer, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Ten convolutions on five levels; (B, 1, H, W) -> maps from (B, C, H, W) to (B, 16C, H/16, W/16)."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(convs(i, o) for i, o in zip([1, *widths], widths, strict=False))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        for block in self.levels:
            x = block(F.max_pool2d(x, 2) if maps else x)
            maps.append(x)
        return maps


class Decoder(nn.Module):
    """Four times: nearest up-sampling, a 2x2 convolution, the encoder's map, two convolutions; then 3x3 and 1x1."""

    def __init__(self, widths: list[int], skips: bool) -> None:
        super().__init__()
        pairs = [(widths[k + 1], widths[k]) for k in reversed(range(LEVELS - 1))]
        self.skips = skips
        self.up = nn.ModuleList(nn.Conv2d(i, o, 2) for i, o in pairs)
        self.merge = nn.ModuleList(convs(2 * o if skips else o, o) for _, o in pairs)
        self.head = nn.Sequential(convs(widths[0], 2, 1), nn.Conv2d(2, 1, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        *left, x = maps
        for up, merge in zip(self.up, self.merge, strict=True):
            # "same" padding of an even kernel: one row and column on the far side
            x = F.relu(up(F.pad(F.interpolate(x, scale_factor=2, mode="nearest"), (0, 1, 0, 1))))
            x = merge(torch.cat([left.pop(), x], 1) if self.skips else x)
        return self.head(x)


class Classifier(nn.Module):
    """Convolution, pooling, dense 128, 64 and 1 on the deepest map."""

    def __init__(self, channels: int, width: int, side: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Flatten(),
            *(nn.Linear(width * (side // 2) ** 2, 128), nn.ELU()),
            *(nn.Linear(128, 64), nn.ELU(), nn.Dropout(0.5)),
            nn.Linear(64, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class MultiTask(System):
    """`reconstruction` is linear, in units of the input; `infection` and `class` (B, 1) are logits."""

    channels = 1

    def __init__(self, config: ReconMtl, tasks: tuple[Task, ...], px: int) -> None:
        super().__init__(tasks)
        widths = [config.width * 2**level for level in range(LEVELS)]
        self.encoder = Encoder(widths)
        skips = {"reconstruction": config.reconstruction_skips, "infection": True}
        self.decoders = nn.ModuleDict({t: Decoder(widths, skips[t]) for t in tasks if t != "class"})
        self.classify = Classifier(widths[-1], config.class_width, px // 16) if "class" in tasks else None
        self.apply(initialise)
        for task, decoder in self.decoders.items():
            wake(decoder.head, PRIOR if task == "infection" else 0.0)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.encoder(image)
        found = {task: decoder(maps) for task, decoder in self.decoders.items()}
        if self.classify is not None:
            found["class"] = self.classify(maps[-1])
        return {task: found[task] for task in self.tasks}

    def parts(self) -> dict[str, list[nn.Module]]:
        found: dict[str, list[nn.Module]] = {"encoder": [self.encoder]}
        found |= {f"{task} decoder": [decoder] for task, decoder in self.decoders.items()}
        return found if self.classify is None else found | {"classification head": [self.classify]}

    def cam_layer(self) -> nn.Module:
        return self.encoder.levels[-1]


class Cnn8(System):
    """Six convolutions of 8 to 256 channels, each pooled, and two dense layers: COVID against the rest."""

    channels = 1

    def __init__(self, config: ReconMtl, tasks: tuple[Task, ...], px: int) -> None:
        super().__init__(tasks)
        widths = [config.width // 8 * 2**level for level in range(6)]
        layers: list[nn.Module] = []
        for i, o in zip([1, *widths], widths, strict=False):
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.ELU(), nn.MaxPool2d(2), nn.Dropout(0.25)]
        dense = [nn.Linear(widths[-1] * (px // 64) ** 2, 128), nn.ELU(), nn.Dropout(0.5), nn.Linear(128, 1)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), *dense)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"class": self.layers(image)}

    def parts(self) -> dict[str, list[nn.Module]]:
        dense = next(i for i, layer in enumerate(self.layers) if isinstance(layer, nn.Flatten))
        return {"convolutions": list(self.layers[:dense]), "dense layers": list(self.layers[dense:])}

    def blocks(self) -> dict[str, list[nn.Module]]:
        convolutions, dense = self.parts().values()
        steps = {f"convolution {i // 4 + 1}": convolutions[i : i + 4] for i in range(0, len(convolutions), 4)}
        return steps | {"dense layers": dense}


def initialise(module: nn.Module) -> None:
    """He-normal convolutions, bias 0: fourteen ReLU layers without normalisation fade under PyTorch's default."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)


@torch.no_grad()
def wake(head: nn.Sequential, bias: float) -> None:
    """Start the two ReLU channels before a decoder's output alive, one that raises it and one that lowers it.

    What they see is positive, so a filter drawn with a negative sum is dead from the start, and about every other
    network would keep to blank masks. Filters therefore start positive, divided by the root of their number of inputs
    so that the sum stays of the size of one of them, and the output weights have both signs. Dice alone then kills the
    channel that lowers within some 50 steps, and without a `bias` no pixel can fall below a probability of one half:
    masks are everything, later nothing. As in Lin et al. 2017 (focal loss) the output starts at a prior.
    """
    two, last = head[0][0], head[-1]
    two.weight.abs_().div_(two.weight[0].numel() ** 0.5)
    last.bias.fill_(bias)
    last.weight.copy_(last.weight.abs() * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1))


def create(config: ReconMtl, tasks: tuple[Task, ...], px: int) -> System:
    """Its dense layers are made for `px`. ValueError for tasks that the network has not."""
    if config.net == "cnn8":
        if tasks != ("class",):
            raise ValueError(f"model.net: cnn8 gives `class` only, not {', '.join(tasks)}; set net: mtl")
        return Cnn8(config, tasks, px)
    if "lung" in tasks:
        raise ValueError("recon_mtl has no lung output; its tasks are reconstruction, infection, class")
    return MultiTask(config, tasks, px)
