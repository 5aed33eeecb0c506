"""Settings of the networks: one model per system, told apart by `system`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from covidqu.config.base import Strict

Task = Literal["lung", "infection", "class", "reconstruction"]


class UnetRoi(Strict):
    """Paper 002: U-Net with `width`, 2, 4, 8, 16 x `width` channels."""

    gives: ClassVar[tuple[Task, ...]] = ("lung", "infection")
    system: Literal["unet_roi"]
    width: int = Field(gt=0)


class UnetppB3(Strict):
    """Paper 001: U-Net++ on EfficientNet-B3."""

    gives: ClassVar[tuple[Task, ...]] = ("infection",)
    system: Literal["unetpp_b3"]
    encoder: str
    decoder_channels: tuple[int, int, int, int, int]


class SwinDual(Strict):
    """Paper 000: Swin-Tiny with `width` channels in its first stage and windows of `window` tokens a side.

    `final_norm`: layer normalisation of the deepest map; `biases`: of the convolutions in the cross-attention.
    """

    gives: ClassVar[tuple[Task, ...]] = ("lung", "infection", "class")
    classes: ClassVar[int] = 3
    system: Literal["swin_dual"]
    width: int = Field(gt=0, multiple_of=12)
    window: Literal[7, 8]
    final_norm: bool = False
    biases: bool = False


class CbamMtl(Strict):
    """Paper 003: `width` to 8 x `width` channels, with or without CBAM."""

    gives: ClassVar[tuple[Task, ...]] = ("infection", "class")
    classes: ClassVar[int] = 2
    system: Literal["cbam_mtl"]
    net: Literal["unet", "unetpp", "resunet"]
    width: int = Field(gt=0)
    cbam: bool


class ReconMtl(Strict):
    """Paper 004. `reconstruction_skips`: whether the encoder's maps reach the reconstruction decoder, too."""

    gives: ClassVar[tuple[Task, ...]] = ("reconstruction", "infection", "class")
    classes: ClassVar[int] = 2
    system: Literal["recon_mtl"]
    net: Literal["mtl", "cnn8"]
    width: int = Field(gt=0, multiple_of=8)
    class_width: int = Field(gt=0)
    reconstruction_skips: bool


class Reference(Strict):
    """Ours: U-Net on an `encoder` of segmentation-models-pytorch. `gate`: infection only where lung is seen."""

    gives: ClassVar[tuple[Task, ...]] = ("lung", "infection", "class")
    classes: ClassVar[int] = 3
    system: Literal["reference"]
    encoder: str
    decoder_channels: tuple[int, int, int, int, int]
    gate: bool


Model = Annotated[UnetRoi | UnetppB3 | SwinDual | CbamMtl | ReconMtl | Reference, Field(discriminator="system")]
