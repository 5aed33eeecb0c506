"""Settings of the networks: one model per system, told apart by `system`.

What a network can take (sides, tasks, batches) and which settings decide on the shapes of its weights stands here, so
that a run that cannot work is refused without building anything.
"""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from covidqu.config.base import Strict

Task = Literal["lung", "infection", "class", "reconstruction"]
Width = Annotated[int, Field(gt=0, le=1024)]
Channels = Annotated[int, Field(gt=0, le=4096)]
Decoder = tuple[Channels, Channels, Channels, Channels, Channels]

FAMILIES = (  # of segmentation-models-pytorch that a decoder of five steps can stand on
    r"densenet(121|161|169|201)|dpn(68b?|92|98|107|131)|efficientnet-b[0-7]|inceptionresnetv2|inceptionv4",
    r"mobilenet_v2|mobileone_s[0-4]|resnet(18|34|50|101|152)|resnext101_32x(4|8|16|32|48)d|resnext50_32x4d",
    r"se_resnet(50|101|152)|se_resnext(50|101)_32x4d|senet154|vgg(11|13|16|19)(_bn)?|xception",
    r"timm-(efficientnet-(b[0-8]|l2)|skresnet(18|34)|skresnext50_32x4d|tf_efficientnet_lite[0-4])",
    r"tu-[a-z0-9][a-z0-9_]*(\.[a-z0-9_]+)?",  # any of timm: whether it fits is seen when it is built
)


def encoder(name: str) -> str:
    """ValueError for a name that no encoder has."""
    if not re.fullmatch("|".join(FAMILIES), name):
        raise ValueError("no encoder of segmentation-models-pytorch; as resnet34, efficientnet-b3, or tu-NAME of timm")
    return name


Encoder = Annotated[str, AfterValidator(encoder)]


class Network(Strict):
    """What all networks say of themselves.

    `gives`: the tasks that they have an output for; `multiple_of`: H and W in pixels. `without_weights`: settings that
    change no weight's name or shape.
    """

    gives: ClassVar[tuple[Task, ...]]
    multiple_of: ClassVar[int]
    without_weights: ClassVar[frozenset[str]] = frozenset()

    def weights(self, tasks: tuple[Task, ...], px: int) -> dict[str, Any]:
        """What decides on names and shapes of the weights: networks that agree in it can hand them on."""
        return self.model_dump(exclude=set(self.without_weights))

    def smallest_batch(self, px: int) -> int:
        """Images that a training step needs: batch normalisation of a single value is not defined."""
        return 1


class UnetRoi(Network):
    """Paper 002: U-Net with `width`, 2, 4, 8, 16 x `width` channels."""

    gives: ClassVar[tuple[Task, ...]] = ("lung", "infection")
    multiple_of: ClassVar[int] = 16
    system: Literal["unet_roi"]
    width: Width

    def weights(self, tasks: tuple[Task, ...], px: int) -> dict[str, Any]:
        return super().weights(tasks, px) | {"outputs": len(tasks)}


class OfAnEncoder(Network):
    """A decoder of five steps on an encoder of segmentation-models-pytorch, which halves its input five times."""

    multiple_of: ClassVar[int] = 32

    def smallest_batch(self, px: int) -> int:
        return 2 if px == self.multiple_of else 1


class UnetppB3(OfAnEncoder):
    """Paper 001: U-Net++ on EfficientNet-B3."""

    gives: ClassVar[tuple[Task, ...]] = ("infection",)
    system: Literal["unetpp_b3"]
    encoder: Encoder
    decoder_channels: Decoder


class SwinDual(Network):
    """Paper 000: Swin-Tiny with `width` channels in its first stage and windows of `window` tokens a side.

    `final_norm`: layer normalisation of the deepest map; `biases`: of the convolutions in the cross-attention.
    """

    gives: ClassVar[tuple[Task, ...]] = ("lung", "infection", "class")
    multiple_of: ClassVar[int] = 32
    classes: ClassVar[int] = 3
    system: Literal["swin_dual"]
    width: int = Field(gt=0, le=768, multiple_of=12)
    window: Literal[7, 8]
    final_norm: bool = False
    biases: bool = False

    def smallest_batch(self, px: int) -> int:
        return 2  # pyramid pooling normalises one value per image


class CbamMtl(Network):
    """Paper 003: `width` to 8 x `width` channels, with or without CBAM."""

    gives: ClassVar[tuple[Task, ...]] = ("infection", "class")
    multiple_of: ClassVar[int] = 8
    classes: ClassVar[int] = 2
    system: Literal["cbam_mtl"]
    net: Literal["unet", "unetpp", "resunet"]
    width: Width
    cbam: bool


class ReconMtl(Network):
    """Paper 004. `reconstruction_skips`: whether the encoder's maps reach the reconstruction decoder, too."""

    gives: ClassVar[tuple[Task, ...]] = ("reconstruction", "infection", "class")
    multiple_of: ClassVar[int] = 64
    classes: ClassVar[int] = 2
    system: Literal["recon_mtl"]
    net: Literal["mtl", "cnn8"]
    width: int = Field(gt=0, le=1024, multiple_of=8)
    class_width: Width
    reconstruction_skips: bool

    def weights(self, tasks: tuple[Task, ...], px: int) -> dict[str, Any]:
        found = super().weights(tasks, px) | {"tasks": sorted(tasks), "px": px}
        idle = {"px", "class_width"} if "class" not in tasks else {"class_width"} if self.net == "cnn8" else set()
        idle |= {"reconstruction_skips"} if "reconstruction" not in tasks else set()
        return {key: value for key, value in found.items() if key not in idle}


class Reference(OfAnEncoder):
    """Ours: U-Net on an `encoder` of segmentation-models-pytorch. `gate`: infection only where lung is seen."""

    gives: ClassVar[tuple[Task, ...]] = ("lung", "infection", "class")
    classes: ClassVar[int] = 3
    without_weights: ClassVar[frozenset[str]] = frozenset({"gate"})
    system: Literal["reference"]
    encoder: Encoder
    decoder_channels: Decoder
    gate: bool


Model = Annotated[UnetRoi | UnetppB3 | SwinDual | CbamMtl | ReconMtl | Reference, Field(discriminator="system")]
