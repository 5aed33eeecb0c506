"""Settings of the data steps: download, audit, split. Input: parts of `params.yaml`; output: frozen models."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from covidqu.config.base import Once, Seed, Strict

SUBSETS = ("infection", "lung")
SPLITS = ("Train", "Val", "Test")
CLASSES = ("COVID-19", "Non-COVID", "Normal")  # file order of the data set
PX = 256  # side of every image of COVID-QU-Ex


class Kaggle(Strict):
    """The pinned release of the data set on Kaggle."""

    dataset: str = Field(pattern=r"^[\w-]+/[\w.-]+$")
    version: int = Field(gt=0)
    base_url: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    files: int = Field(gt=0)
    unpacked_bytes: int = Field(gt=0)
    retries: int = Field(ge=0, le=1000, default=5)
    timeout_s: float = Field(gt=0, le=86_400, default=60)

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if "@" in parts.netloc:
            raise ValueError("holds a user or a password, and settings are printed; requests reads them from ~/.netrc")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an address such as https://www.kaggle.com")
        return value


class Local(Strict):
    """A folder or zip file on this machine."""

    path: str | None = None


Images = Annotated[int, Field(ge=1, le=100_000)]
Amounts = dict[Literal["Train", "Val", "Test"], tuple[Images, Images, Images]]


class Phantom(Strict):
    """The synthetic data set: images per class for each split (COVID-19, Non-COVID, Normal), for each subset."""

    seed: Seed
    lung: Amounts
    infection: Amounts

    @field_validator("lung", "infection")
    @classmethod
    def _all_splits(cls, value: Amounts) -> Amounts:
        if missing := [split for split in SPLITS if split not in value]:
            raise ValueError(f"{missing[0]} is missing; every run needs Train, Val and Test")
        return value


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

    nearest: int = Field(ge=1, le=100)  # candidates per image and search: as it is, cropped, mirrored
    candidate_correlation: float = Field(ge=-1, lt=1)  # of thumbnails without coarse shading
    inliers: int = Field(ge=4, le=400)  # matched features that one affine map explains
    aligned_correlation: float = Field(ge=-1, lt=1)  # median over 32 x 32 tiles after this map


class Audit(Strict):
    """What is searched for, and what stops the pipeline."""

    copies: Copies
    expect_counts: Literal["papers", "none"]
    stop_on: Annotated[list[Fault], Once]


class Split(Strict):
    """Grouped k-fold beside the official and the deduplicated split."""

    folds: int = Field(ge=2, le=100)
    seed: Seed


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
