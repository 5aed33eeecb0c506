"""Settings of a run: model, data, losses, optimiser, schedule. Enters: anchor + a run's diff; leaves: `Run`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from covidqu.config.base import Strict

Task = Literal["lung", "infection"]  # what a run can be trained for
Output = Literal["lung", "infection", "class", "reconstruction"]  # what a network can give


class UnetRoi(Strict):
    """Paper 002: U-Net with `width`, 2, 4, 8, 16 x `width` channels."""

    system: Literal["unet_roi"]
    width: int = Field(gt=0)


class UnetppB3(Strict):
    """Paper 001: U-Net++ on EfficientNet-B3."""

    system: Literal["unetpp_b3"]
    encoder: str
    decoder_channels: tuple[int, int, int, int, int]


class SwinDual(Strict):
    """Paper 000: Swin-Tiny with `width` channels in its first stage and windows of `window` tokens a side."""

    system: Literal["swin_dual"]
    width: int = Field(gt=0, multiple_of=12)
    window: Literal[7, 8]


class CbamMtl(Strict):
    """Paper 003: `width` to 8 x `width` channels, with or without CBAM."""

    system: Literal["cbam_mtl"]
    net: Literal["unet", "unetpp", "resunet"]
    width: int = Field(gt=0)
    cbam: bool


class ReconMtl(Strict):
    """Paper 004: `px` is the side of the images, which the dense layers are made for."""

    system: Literal["recon_mtl"]
    net: Literal["mtl", "cnn8"]
    width: int = Field(gt=0, multiple_of=8)
    class_width: int = Field(gt=0)
    skips: bool
    px: int = Field(ge=64, multiple_of=64)


Model = Annotated[UnetRoi | UnetppB3 | SwinDual | CbamMtl | ReconMtl, Field(discriminator="system")]


class Bce(Strict):
    """Binary cross-entropy, mean over pixels; `pos_weight: train` = background / foreground pixels of Train."""

    kind: Literal["bce"]
    weight: float = Field(gt=0)
    pos_weight: float | Literal["train"] = 1.0


class Dice(Strict):
    """1 - soft Dice, pooled over the batch, `smooth` added to numerator and denominator."""

    kind: Literal["dice"]
    weight: float = Field(gt=0)
    smooth: float = Field(ge=0)


LossTerm = Annotated[Bce | Dice, Field(discriminator="kind")]


class HorizontalFlip(Strict):
    kind: Literal["horizontal_flip"]
    p: float = Field(ge=0, le=1)


class Affine(Strict):
    """Shift and scale as fractions, rotation in degrees, each drawn from +- its limit."""

    kind: Literal["affine"]
    shift: float = Field(ge=0, lt=1)
    scale: float = Field(ge=0, lt=1)
    rotate_deg: float = Field(ge=0, le=180)
    p: float = Field(ge=0, le=1)


class BrightnessContrast(Strict):
    kind: Literal["brightness_contrast"]
    limit: float = Field(ge=0, le=1)
    p: float = Field(ge=0, le=1)


class GaussNoise(Strict):
    """Additive noise; standard deviation drawn from the range, as a fraction of full scale (255)."""

    kind: Literal["gauss_noise"]
    std_range: tuple[float, float]
    p: float = Field(ge=0, le=1)


Augmentation = Annotated[
    HorizontalFlip | Affine | BrightnessContrast | GaussNoise,
    Field(discriminator="kind"),
]


class Adam(Strict):
    kind: Literal["adam"]
    lr: float = Field(gt=0)


class AdamW(Strict):
    kind: Literal["adamw"]
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)


Optimizer = Annotated[Adam | AdamW, Field(discriminator="kind")]


class Constant(Strict):
    kind: Literal["constant"]


class Cosine(Strict):
    """Cosine annealing per epoch from the optimiser's rate to `lr_min` over all epochs."""

    kind: Literal["cosine"]
    lr_min: float = Field(ge=0)


Schedule = Annotated[Constant | Cosine, Field(discriminator="kind")]


class Run(Strict):
    """One training: the anchor with a run's diff applied.

    `init` names initial weights (`params.initial`) or another run; `roi` names a source of lung masks (`params.roi`)
    that multiplies the image (`whole`: nothing is hidden). `epochs: 0` evaluates the initial weights.
    """

    model: Model
    init: str
    roi: str
    subset: Literal["lung", "infection"]
    split: Literal["official", "deduplicated"]
    image_px: int = Field(ge=32, le=512, multiple_of=32)
    normalise: Literal["unit", "imagenet"]
    augment: list[Augmentation]
    loss: dict[Task, list[LossTerm]] = Field(min_length=1)
    optimizer: Optimizer
    schedule: Schedule
    epochs: int = Field(ge=0)
    patience: int | None = Field(ge=1)
    batch: int = Field(ge=1)
    seed: int
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    accelerator: Literal["auto", "cpu", "cuda"]
    devices: int = Field(ge=1)
    threads: int | None = Field(ge=1)
    deterministic: bool

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Outputs that are trained and scored."""
        return tuple(self.loss)


def deviations(config: dict[str, Any], full: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (the run's value, that of the full run), for each setting of `full` that differs.

    `config`: a run's complete configuration as JSON values; ValueError for a key that it has not.
    """
    out = {}
    for key, wanted in full.items():
        node: Any = config
        for part in key.split("."):
            if not isinstance(node, dict) or part not in node:
                raise ValueError(f"{key}: a run has no such setting")
            node = node[part]
        if node != wanted:
            out[key] = (node, wanted)
    return out
