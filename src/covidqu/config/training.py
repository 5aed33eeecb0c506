"""Settings of a run: model, data, losses, optimiser, schedule. Input: anchor + a run's diff; output: `Run`."""

from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from covidqu.config.base import Once, Seed, Strict
from covidqu.config.models import Model, ReconMtl, Task

Label = Literal["Normal", "Non-COVID", "COVID-19"]
CLASS_MAPS: dict[str, dict[str, int]] = {  # label -> class of the head; images with another label are not trained on
    "three": {"Normal": 0, "Non-COVID": 1, "COVID-19": 2},
    "covid_vs_normal": {"Normal": 0, "COVID-19": 1},
    "covid_vs_rest": {"Normal": 0, "Non-COVID": 0, "COVID-19": 1},
}


Weight = Annotated[float, Field(ge=1e-9, le=1e6)]
Chance = Annotated[float, Field(ge=0, le=1)]


class Bce(Strict):
    """Binary cross-entropy, mean over pixels; `pos_weight: train` = background / foreground pixels of Train.

    `only`: images of other classes count 0, and the mean is still over all pixels of the batch.
    """

    kind: Literal["bce"]
    weight: Weight
    pos_weight: Weight | Literal["train"] = 1.0
    only: Label | None = None


class Dice(Strict):
    """1 - soft Dice, pooled over the batch, `smooth` added to numerator and denominator.

    `only`: pooled over images of that class, 0 for a batch without one.
    """

    kind: Literal["dice"]
    weight: Weight
    smooth: float = Field(ge=0, le=1e6)
    only: Label | None = None


class CrossEntropy(Strict):
    """Of class logits: softmax over several, sigmoid of a single one; mean over images."""

    kind: Literal["cross_entropy"]
    weight: Weight


class Mse(Strict):
    """Mean squared error of the reconstruction, in units of the network's input."""

    kind: Literal["mse"]
    weight: Weight


LossTerm = Annotated[Bce | Dice | CrossEntropy | Mse, Field(discriminator="kind")]
Terms = Annotated[list[LossTerm], Field(min_length=1, max_length=8)]
TERMS = {"lung": (Bce, Dice), "infection": (Bce, Dice), "class": (CrossEntropy,), "reconstruction": (Mse,)}


class Median(Strict):
    """Median of `px` x `px` pixels."""

    kind: Literal["median"]
    px: Literal[3, 5]


class Opening(Strict):
    """Morphological opening with an ellipse of `px` x `px` pixels."""

    kind: Literal["opening"]
    px: int = Field(ge=3, le=31)


Filter = Annotated[Median | Opening, Field(discriminator="kind")]


class HorizontalFlip(Strict):
    kind: Literal["horizontal_flip"]
    p: Chance


class Affine(Strict):
    """Shift and scale as fractions, rotation and shear in degrees, each drawn from +- its limit."""

    kind: Literal["affine"]
    shift: float = Field(ge=0, lt=1)
    scale: float = Field(ge=0, lt=1)
    rotate_deg: float = Field(ge=0, le=180)
    shear_deg: float = Field(ge=0, lt=90, default=0.0)
    p: Chance


class Rotate90(Strict):
    """By 90 or 270 degrees, one as likely as the other."""

    kind: Literal["rotate90"]
    p: Chance


class BrightnessContrast(Strict):
    kind: Literal["brightness_contrast"]
    limit: float = Field(ge=0, le=1)
    p: Chance


class GaussNoise(Strict):
    """Additive noise; standard deviation drawn from the range, as a fraction of full scale (255)."""

    kind: Literal["gauss_noise"]
    std_range: tuple[Chance, Chance]
    p: Chance

    @field_validator("std_range")
    @classmethod
    def _rises(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("the lower end comes first")
        return value


class Gamma(Strict):
    """Intensities (0..1) to a power drawn from 1 - `limit` to 1 + `limit`."""

    kind: Literal["gamma"]
    limit: float = Field(gt=0, lt=1)
    p: Chance


class Elastic(Strict):
    """Smooth random displacements: white noise blurred by `sigma`, times `alpha`; both as fractions of the side."""

    kind: Literal["elastic"]
    alpha: float = Field(gt=0, le=10)
    sigma: float = Field(ge=0.005, le=0.25)
    p: Chance


Augmentation = Annotated[
    HorizontalFlip | Affine | Rotate90 | BrightnessContrast | GaussNoise | Gamma | Elastic,
    Field(discriminator="kind"),
]


Rate = Annotated[float, Field(ge=1e-12, le=10)]
Beta = Annotated[float, Field(ge=0, lt=1)]


class Adam(Strict):
    kind: Literal["adam"]
    lr: Rate
    betas: tuple[Beta, Beta] = (0.9, 0.999)


class AdamW(Strict):
    kind: Literal["adamw"]
    lr: Rate
    weight_decay: float = Field(ge=0, le=10)


Optimizer = Annotated[Adam | AdamW, Field(discriminator="kind")]


class Constant(Strict):
    kind: Literal["constant"]


class Cosine(Strict):
    """Cosine annealing per epoch from the optimiser's rate to `lr_min`, after `warmup` epochs of rising to it."""

    kind: Literal["cosine"]
    lr_min: float = Field(ge=0, le=10)
    warmup: int = Field(ge=0, le=10_000, default=0)


Schedule = Annotated[Constant | Cosine, Field(discriminator="kind")]


Part = Annotated[str, Field(pattern=r"^\w+(\.\w+)*$")]  # of a network, as PyTorch names its modules
Factor = Annotated[float, Field(gt=0, le=1000)]


class Run(Strict):
    """One training: the anchor with a run's diff applied.

    `init` names initial weights (`params.initial`) or another run; `roi` names a source of lung masks (`params.roi`)
    that multiplies the image (`whole`: nothing is hidden). `epochs: 0` evaluates the initial weights. `freeze`: modules
    whose weights stay (`frozen_bn`: whether their running statistics move); `rates`: module -> factor on the
    optimiser's rate, of all other modules under `others`. `ema`: decay per step of the moving average of the weights,
    which is then what is validated and kept. `flip_test`: logits of test images are the mean of those of the image and
    of its mirror image. `test_precision` is that of a trained network; bfloat16 must leave its masks as they are.

    `monitor`: what the best epoch on Val is chosen by. `loss`: that of the whole of Val. `lung`, `infection`: mean Dice
    over the images with such a mask. `infection_all`: the same over all images, where a blank mask of an image without
    infection counts 1 and any other 0. `infection_specific`: the mean of `infection` and of the share of images without
    annotated infection of which at most 1 % is marked.
    """

    model: Model
    init: str
    roi: str
    subset: Literal["lung", "infection"]
    split: Literal["official", "deduplicated"]
    image_px: int = Field(ge=32, le=512, multiple_of=16)
    evaluate_px: int = Field(ge=32, le=512)
    filters: list[Filter] = Field(max_length=8)
    normalise: Literal["unit", "imagenet", "lung_tissue"]
    augment: list[Augmentation] = Field(max_length=32)
    classes: Literal["three", "covid_vs_normal", "covid_vs_rest"] | None
    sampler: Literal["shuffle", "class_balanced"]
    loss: dict[Task, Terms] = Field(min_length=1)
    freeze: Annotated[list[Part], Once]
    frozen_bn: Literal["train", "eval"]
    rates: dict[Part, Factor]
    ema: float | None = Field(ge=0, lt=1)
    optimizer: Optimizer
    schedule: Schedule
    epochs: int = Field(ge=0, le=100_000)
    patience: int | None = Field(ge=1, le=100_000)
    monitor: Literal["loss", "lung", "infection", "infection_all", "infection_specific"]
    flip_test: bool
    batch: int = Field(ge=1, le=4096)
    seed: Seed
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]
    test_precision: Literal["32-true", "bf16-mixed"]
    accelerator: Literal["auto", "cpu", "cuda"]
    devices: int = Field(ge=1, le=64)
    threads: int | None = Field(ge=1, le=256)
    deterministic: bool

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Outputs that are trained and scored."""
        return tuple(self.loss)

    @property
    def masks(self) -> tuple[Task, ...]:
        """The tasks whose output is a mask."""
        return tuple(task for task in self.loss if task in ("lung", "infection"))

    @property
    def class_map(self) -> dict[str, int]:
        """Label -> class of the head; labels that it does not hold are not trained on. Empty without a head."""
        return CLASS_MAPS[self.classes] if self.classes else {}

    @model_validator(mode="after")
    def _fits(self) -> "Run":
        self._fits_the_network()
        self._fits_the_losses()
        if self.sampler == "class_balanced" and not self.classes:
            raise ValueError("sampler: class_balanced needs `classes`")
        if self.schedule.kind == "cosine" and 0 < self.epochs <= self.schedule.warmup:
            raise ValueError(f"schedule.warmup: {self.schedule.warmup} epochs of {self.epochs} leave none at full rate")
        if self.schedule.kind == "cosine" and self.schedule.lr_min > self.optimizer.lr:
            raise ValueError(f"schedule.lr_min: {self.schedule.lr_min} is above optimizer.lr, {self.optimizer.lr}")
        if self.accelerator == "cpu" and self.precision == "16-mixed":
            raise ValueError("precision: 16-mixed needs a GPU; set bf16-mixed or 32-true")
        return self

    def _fits_the_network(self) -> None:
        """ValueError for sides, tasks and batches that the network cannot take."""
        model, share = self.model, self.batch // self.devices
        if self.image_px % model.multiple_of:
            raise ValueError(
                f"image_px: {self.image_px} is no multiple of {model.multiple_of}, as {model.system} needs"
            )
        if self.batch % self.devices:
            raise ValueError(f"batch: {self.batch} cannot be shared by {self.devices} devices; choose a multiple")
        if self.epochs and share < (least := model.smallest_batch(self.image_px)):
            raise ValueError(
                f"batch: {share} image a device cannot be trained on: {model.system} normalises single values at "
                f"{self.image_px} px; set at least {least * self.devices}"
            )
        for task in self.loss:
            if task not in model.gives:
                raise ValueError(f"loss.{task}: {model.system} gives {', '.join(model.gives)}")
        if isinstance(model, ReconMtl) and model.net == "cnn8" and self.tasks != ("class",):
            raise ValueError("model.net: cnn8 gives `class` only; set net: mtl, or the other losses to null")

    def _fits_the_losses(self) -> None:
        """ValueError for terms, classes, normalisation and monitor that do not go with the tasks."""
        for task, terms in self.loss.items():
            if wrong := [term.kind for term in terms if not isinstance(term, TERMS[task])]:
                valid = ", ".join(get_args(kind.model_fields["kind"].annotation)[0] for kind in TERMS[task])
                raise ValueError(f"loss.{task}: {wrong[0]} is no loss of this task; valid: {valid}")
        if ("class" in self.loss) != (self.classes is not None):
            raise ValueError("classes: must be set for a run with loss.class, and null for one without")
        of_head = getattr(self.model, "classes", None)
        if self.classes and len(set(self.class_map.values())) != of_head:
            raise ValueError(f"classes: {self.model.system} tells {of_head} classes apart")
        if "reconstruction" in self.loss and self.normalise != "unit":
            raise ValueError("normalise: a run with loss.reconstruction gives intensities of 0 to 1; set unit")
        if self.monitor != "loss" and self.monitor.split("_")[0] not in self.loss:
            raise ValueError(f"monitor: {self.monitor} is not trained; valid: loss, {', '.join(self.masks)}")
