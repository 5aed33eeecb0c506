"""Ours: one encoder, one U-Net decoder with a lung and an infection mask, a class head on the deepest map.

Infection is gated by the network's own lungs: the probability of infection is that of its mask times that of lung, so
no annotated mask is needed and none is used. From segmentation-models-pytorch.
"""

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from covidqu.config.models import Reference, Task
from covidqu.systems.base import System

MASKS = ("lung", "infection")


class OneEncoder(System):
    """Grey images in three equal channels, as ImageNet encoders expect; H and W must be multiples of 32."""

    channels = 3

    def __init__(self, config: Reference, tasks: tuple[Task, ...]) -> None:
        super().__init__(tasks)
        self.gate = config.gate
        self.net = smp.Unet(
            config.encoder,
            encoder_weights=None,
            in_channels=self.channels,
            classes=len(MASKS),
            decoder_channels=config.decoder_channels,
            aux_params={"classes": config.classes, "dropout": 0.2},
        )
        self.deepest = nn.Identity()  # named for Grad-CAM

    def pretrained_part(self) -> nn.Module:
        return self.net.encoder

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.net.encoder(image)
        lung, infection = self.net.segmentation_head(self.net.decoder(maps)).split(1, 1)
        if self.gate:
            infection = both(infection, lung.detach())
        found = {"lung": lung, "infection": infection}
        if "class" in self.tasks:
            found["class"] = self.net.classification_head(self.deepest(maps[-1]))
        return {task: found[task] for task in self.tasks}

    def parts(self) -> dict[str, list[nn.Module]]:
        net = self.net
        found = {"encoder": net.encoder, "decoder": net.decoder, "mask heads": net.segmentation_head}
        return {name: [module] for name, module in found.items()} | {"class head": [net.classification_head]}

    def blocks(self) -> dict[str, list[nn.Module]]:
        return self.parts()

    def cam_layer(self) -> nn.Module:
        return self.deepest


def both(a: Tensor, b: Tensor) -> Tensor:
    """Log-odds of sigmoid(a) sigmoid(b), from 1 / p - 1 = exp(-a) + exp(-b) + exp(-a - b): never infinite."""
    return -torch.logsumexp(torch.stack([-a, -b, -a - b]), 0)


def create(config: Reference, tasks: tuple[Task, ...], px: int) -> OneEncoder:
    return OneEncoder(config, tasks)
