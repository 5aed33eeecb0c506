"""Paper 001: U-Net++ on an EfficientNet-B3 encoder, from segmentation-models-pytorch (13,624,793 parameters)."""

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from covidqu.config.training import Task, UnetppB3
from covidqu.systems.base import System


class UnetPlusPlus(System):
    """U-Net++; grey images come in three equal channels, as the ImageNet encoder expects; H, W multiples of 32."""

    channels = 3

    def __init__(self, config: UnetppB3, tasks: tuple[Task, ...]) -> None:
        super().__init__(tasks)
        self.net = smp.UnetPlusPlus(
            config.encoder,
            encoder_weights=None,
            in_channels=self.channels,
            classes=len(tasks),
            decoder_channels=config.decoder_channels,
        )
        # The classifier's last layers, which no decoder reads: counted, but neither decayed nor waited for.
        for name, parameter in self.net.encoder.named_parameters():
            if name.startswith(("_conv_head", "_bn1")):
                parameter.requires_grad_(False)

    def pretrained_part(self) -> nn.Module:
        return self.net.encoder

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.tasks, self.net(image).split(1, 1), strict=True))


def create(config: UnetppB3, tasks: tuple[Task, ...]) -> UnetPlusPlus:
    return UnetPlusPlus(config, tasks)
