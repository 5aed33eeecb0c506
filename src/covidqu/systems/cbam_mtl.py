"""Paper 003: a shared encoder with CBAM, an infection decoder and a multi-layer perceptron; U-Net, U-Net++ or ResUNet.

The paper says filters of 64 to 512; with a class head of 512-128-2 on the deepest map this counts 8,071,499 (U-Net),
9,300,875 (U-Net++) and 9,972,171 (ResUNet) parameters, 43,912 of them CBAM.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covidqu.config.models import CbamMtl, Task
from covidqu.systems.base import System, double_conv

LEVELS, CLASSES = 4, 2


class Cbam(nn.Module):
    """Channel attention (mean and maximum through one perceptron), then spatial attention; (B, C, H, W) -> same.

    Woo et al. 2018, reduction 16, 7x7 kernel, no biases.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // 16, 1)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden, bias=False), nn.ReLU(), nn.Linear(hidden, channels, bias=False)
        )
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate = (self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3)))).sigmoid()
        x = x * gate[:, :, None, None]
        return x * self.spatial(torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)).sigmoid()


class Residual(nn.Module):
    """Pre-activation residual block (Zhang et al. 2018); the first one of a network starts with its convolution."""

    def __init__(self, inner: int, outer: int, stride: int = 1, first: bool = False) -> None:
        super().__init__()
        before = [] if first else [nn.BatchNorm2d(inner), nn.ReLU()]
        self.main = nn.Sequential(
            *before,
            nn.Conv2d(inner, outer, 3, stride=stride, padding=1),
            *(nn.BatchNorm2d(outer), nn.ReLU(inplace=True)),
            nn.Conv2d(outer, outer, 3, padding=1),
        )
        self.short = nn.Sequential(nn.Conv2d(inner, outer, 1), nn.BatchNorm2d(outer))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        # Every second pixel, then 1x1: the same as a 1x1 convolution of stride 2, whose backward pass in float32 and
        # channels-last order crashes on CPUs (torch 2.15 with oneDNN).
        return self.main(x) + self.short(x[..., :: self.stride, :: self.stride])


class Encoder(nn.Module):
    """Four levels, CBAM after each when asked for; (B, 1, H, W) -> maps from (B, C, H, W) to (B, 8C, H/8, W/8)."""

    def __init__(self, widths: list[int], residual: bool, cbam: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Residual(i, o, stride=2 if level else 1, first=not level) if residual else double_conv(i, o)
            for level, (i, o) in enumerate(zip([1, *widths], widths, strict=False))
        )
        self.attention = nn.ModuleList(Cbam(w) if cbam else nn.Identity() for w in widths)
        self.pools = not residual

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        for block, attention in zip(self.blocks, self.attention, strict=True):
            x = attention(block(F.max_pool2d(x, 2) if maps and self.pools else x))
            maps.append(x)
        return maps


class Ladder(nn.Module):
    """Decoder of U-Net and ResUNet: transposed convolution, skip, block, three times."""

    def __init__(self, widths: list[int], residual: bool) -> None:
        super().__init__()
        pairs = [(widths[k + 1], widths[k]) for k in reversed(range(LEVELS - 1))]
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, i if residual else o, 2, stride=2) for i, o in pairs)
        self.merge = nn.ModuleList(Residual(i + o, o) if residual else double_conv(2 * o, o) for i, o in pairs)

    def forward(self, maps: list[Tensor]) -> Tensor:
        *left, x = maps
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([left.pop(), up(x)], 1))
        return x


class Nested(nn.Module):
    """Decoder of U-Net++: node (i, j) sees all nodes of its level before it and, bilinearly, the one below."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.nodes = nn.ModuleDict(
            {
                f"{i}{j}": double_conv(j * widths[i] + widths[i + 1], widths[i])
                for j in range(1, LEVELS)
                for i in range(LEVELS - j)
            }
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        rows = [[x] for x in maps]
        for j in range(1, LEVELS):
            for i in range(LEVELS - j):
                below = F.interpolate(rows[i + 1][j - 1], scale_factor=2, mode="bilinear", align_corners=False)
                rows[i].append(self.nodes[f"{i}{j}"](torch.cat([*rows[i], below], 1)))
        return rows[0][-1]


class CbamMultiTask(System):
    """`infection` (B, 1, H, W) and `class` (B, 2) logits: Normal, COVID-19; H and W multiples of 8."""

    channels = 1

    def __init__(self, config: CbamMtl, tasks: tuple[Task, ...]) -> None:
        super().__init__(tasks)
        widths = [config.width * 2**level for level in range(LEVELS)]
        residual = config.net == "resunet"
        self.encoder = Encoder(widths, residual, config.cbam)
        self.decoder = Nested(widths) if config.net == "unetpp" else Ladder(widths, residual)
        self.head = nn.Conv2d(widths[0], 1, 1)
        deepest = widths[-1]
        self.classify = nn.Sequential(
            *(nn.Linear(deepest, 512), nn.ReLU(inplace=True), nn.Dropout(0.5)),
            *(nn.Linear(512, 128), nn.ReLU(inplace=True), nn.Dropout(0.5)),
            nn.Linear(128, CLASSES),
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.encoder(image)
        found = {
            "infection": lambda: self.head(self.decoder(maps)),
            "class": lambda: self.classify(maps[-1].mean((2, 3))),
        }
        return {task: found[task]() for task in self.tasks}

    def parts(self) -> dict[str, list[nn.Module]]:
        encoder = self.encoder
        cbam = {} if isinstance(encoder.attention[0], nn.Identity) else {"CBAM": [encoder.attention]}
        rest = {"decoder": [self.decoder], "infection head": [self.head], "classification head": [self.classify]}
        return {"encoder": [encoder.blocks]} | cbam | rest

    def cam_layer(self) -> nn.Module:
        return self.encoder.attention[-1]


def create(config: CbamMtl, tasks: tuple[Task, ...], px: int) -> CbamMultiTask:
    """ValueError for tasks that the network has not."""
    if not set(tasks) <= {"infection", "class"}:
        raise ValueError(f"cbam_mtl gives infection and class, not {', '.join(tasks)}")
    return CbamMultiTask(config, tasks)
