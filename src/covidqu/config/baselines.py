"""Settings of the baselines: predictors of infection masks that look at no image, classifiers that see no lung.

Input: the key `baselines` of `params.yaml`. Output: frozen models. All are fitted on Train, chosen on Val and
scored on Test of one subset in one split, those of every infection run.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from covidqu.config.base import Once, Strict
from covidqu.config.data import PX

SUBSET, SPLIT = "infection", "official"

Share = Annotated[float, Field(gt=0, lt=1)]
Sides = Annotated[list[Annotated[int, Field(ge=32, le=512)]], Once]
Inverse = Annotated[float, Field(ge=1e-9, le=1e9)]


class Trivial(Strict):
    """`empty`: never any infection; `lungs`: the annotated lungs are infected. `also_px`: sides besides 256."""

    gives: ClassVar[str] = "infection"
    kind: Literal["empty", "lungs"]
    also_px: Sides


class MeanMap(Strict):
    """The mean infection mask of the infected Train images, above the one of `thresholds` that is best on Val."""

    gives: ClassVar[str] = "infection"
    kind: Literal["mean_map"]
    thresholds: Annotated[list[Share], Once] = Field(min_length=1, max_length=1000)
    also_px: Sides


class Shortcut(Strict):
    """Logistic regression on what a classifier should not need; `c`: inverse penalties, of which Val chooses."""

    gives: ClassVar[str] = "class"
    c: Annotated[list[Inverse], Once] = Field(min_length=1, max_length=100)


class Picture(Shortcut):
    """`picture_px`: side of the averaged image; `border`: its outermost pixels; `lungs_blanked`: lungs set to 0."""

    kind: Literal["border", "thumbnail", "lungs_blanked"]
    picture_px: int = Field(ge=2, le=64)

    @field_validator("picture_px")
    @classmethod
    def _divides(cls, value: int) -> int:
        if PX % value:
            raise ValueError(f"must divide {PX}, so that each pixel is the mean of a square")
        return value


class MaskShape(Shortcut):
    """Areas, extents and centroids of the annotated lung masks."""

    kind: Literal["mask_shape"]


MaskBaseline = Trivial | MeanMap
ClassBaseline = Picture | MaskShape
Baseline = Annotated[Trivial | MeanMap | Picture | MaskShape, Field(discriminator="kind")]
