"""Paper 001: U-Net++ on an EfficientNet-B3 encoder, from segmentation-models-pytorch (13,624,793 parameters)."""

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from covidqu.config.models import Task, UnetppB3
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

    def parts(self) -> dict[str, list[nn.Module]]:
        return {"encoder": [self.net.encoder], "decoder": [self.net.decoder], "head": [self.net.segmentation_head]}

    def blocks(self) -> dict[str, list[nn.Module]]:
        encoder = self.net.encoder
        if not hasattr(encoder, "_conv_stem"):  # another encoder than the paper's family
            return self.parts()
        found: dict[str, list[nn.Module]] = {"encoder stem": [encoder._conv_stem, encoder._bn0]}
        start = 0
        for stage, last in enumerate(encoder._out_indexes):
            found[f"encoder stage {stage + 1}"] = list(encoder._blocks[start : last + 1])
            start = last + 1
        found["classifier of the encoder"] = [encoder._conv_head, encoder._bn1]
        found |= {f"decoder {name.removeprefix('x_')}": [m] for name, m in self.net.decoder.blocks.items()}
        return found | {"head": [self.net.segmentation_head]}


def create(config: UnetppB3, tasks: tuple[Task, ...], px: int) -> UnetPlusPlus:
    return UnetPlusPlus(config, tasks)
