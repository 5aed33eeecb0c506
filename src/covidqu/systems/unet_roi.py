"""Paper 002: a U-Net, first for lungs, then from those weights for infection inside the lung ROI.

The paper gives no widths; five levels of 64 to 1,024 channels with batch normalisation count 31,036,481 parameters.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covidqu.config.models import Task, UnetRoi
from covidqu.systems.base import System, double_conv

LEVELS = 5


class Unet(System):
    """U-Net with transposed convolutions; H and W must be multiples of 16."""

    channels = 1

    def __init__(self, config: UnetRoi, tasks: tuple[Task, ...]) -> None:
        super().__init__(tasks)
        widths = [config.width * 2**level for level in range(LEVELS)]
        self.down = nn.ModuleList(double_conv(i, o) for i, o in zip([1, *widths], widths, strict=False))
        pairs = [(widths[k + 1], widths[k]) for k in reversed(range(LEVELS - 1))]
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in pairs)
        self.merge = nn.ModuleList(double_conv(i, o) for i, o in pairs)
        self.head = nn.Conv2d(widths[0], len(tasks), 1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        skips, x = [], image
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([skips.pop(), up(x)], 1))
        return dict(zip(self.tasks, self.head(x).split(1, 1), strict=True))

    def parts(self) -> dict[str, list[nn.Module]]:
        return {"encoder": [self.down], "decoder": [self.up, self.merge], "head": [self.head]}


def create(config: UnetRoi, tasks: tuple[Task, ...], px: int) -> Unet:
    return Unet(config, tasks)
