"""Settings of the data steps: download, audit, split. Enters: parts of `params.yaml`; leaves: frozen models."""

from typing import Literal

from pydantic import Field, model_validator

from covidqu.config.base import Strict

SUBSETS = ("infection", "lung")
SPLITS = ("Train", "Val", "Test")
CLASSES = ("COVID-19", "Non-COVID", "Normal")  # file order of the data set
PX = 256  # side of every image of COVID-QU-Ex


class Kaggle(Strict):
    """The pinned release of the data set on Kaggle."""

    dataset: str
    version: int
    base_url: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    files: int = Field(gt=0)
    unpacked_bytes: int = Field(gt=0)
    retries: int = Field(ge=0, default=5)
    timeout_s: float = Field(gt=0, default=60)


class Local(Strict):
    """A folder or zip file on this machine."""

    path: str | None = None


class Phantom(Strict):
    """The synthetic data set: images per class for each split (COVID-19, Non-COVID, Normal), for each subset."""

    seed: int
    lung: dict[Literal["Train", "Val", "Test"], tuple[int, int, int]]
    infection: dict[Literal["Train", "Val", "Test"], tuple[int, int, int]]


class Download(Strict):
    """Where the archive comes from."""

    source: Literal["kaggle", "directory", "zip", "phantom"]
    kaggle: Kaggle
    directory: Local = Local()
    zip: Local = Local()
    phantom: Phantom


Fault = Literal["counts", "exact_duplicates", "near_duplicates", "label_conflicts", "split_disagreement"]


class Copies(Strict):
    """When two images are taken for copies of one radiograph."""

    nearest: int = Field(ge=1)  # candidates per image and search: as it is, cropped, mirrored
    candidate_correlation: float = Field(ge=-1, lt=1)  # of thumbnails without coarse shading
    inliers: int = Field(ge=4)  # matched features that one affine map explains
    aligned_correlation: float = Field(ge=-1, lt=1)  # median over 32 x 32 tiles after this map


class Audit(Strict):
    """What is searched for, and what stops the pipeline."""

    copies: Copies
    expect_counts: Literal["papers", "none"]
    stop_on: list[Fault]


class Split(Strict):
    """Grouped k-fold beside the official and the deduplicated split."""

    folds: int = Field(ge=2)
    seed: int


class Roi(Strict):
    """Lung masks that runs can name: `annotated` need no model, `predicted` are runs with a lung output."""

    annotated: list[Literal["whole", "ground-truth"]]
    predicted: list[str]

    @model_validator(mode="after")
    def _unique(self) -> "Roi":
        names = [*self.annotated, *self.predicted]
        if len(set(names)) != len(names):
            raise ValueError(f"a source is named twice in {names}")
        return self
