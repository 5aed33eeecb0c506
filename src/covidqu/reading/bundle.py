"""A bundle: the folder that holds what a reading needs of one run, every byte as it was written.

One ONNX file per seed, `metadata.json` (inputs and outputs of the graphs, and what the run was made of, laid out like
the one of a MONAI bundle), an .npz file of arrays for the warnings, and README.md, its model card. Input: a folder;
output: `Bundle`, or a ValueError that names the file, the fault and the remedy.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from covidqu.config.base import Once, Seed, Strict
from covidqu.config.training import Filter
from covidqu.errors import plain

METADATA, README = "metadata.json", "README.md"
SHIPPED = Path(__file__).parent / "models"  # bundles that come with the package, by name
NOTICE = "Research software, not for diagnosis"
AGAIN = "copy the bundle again, or make it with `covidqu export bundle`"

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
File = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]  # in the bundle's own folder
Output = Literal["lung", "infection", "class", "features"]


class Member(Strict):
    """The graph of one seed. `weights_sha256` of the trained weights, `data_hash` of the data that they learnt from."""

    file: File
    sha256: Hash
    seed: Seed
    weights_sha256: Hash
    data_hash: Hash


class Arrays(Strict):
    """The .npz file of arrays for the warnings."""

    file: File
    sha256: Hash


class Limit(Strict):
    """What the value `of` a picture is held against: a warning is due on this side. `val_share`: of Val images."""

    of: str
    side: Literal["above", "below"]
    limit: float
    val_share: float = Field(ge=0, le=1)


class TrainingData(Strict):
    """What the run learnt from; `images` of Train, None where they were not counted."""

    name: str
    licence: str
    citation: str
    images: int | None = Field(gt=0, default=None)


class Tensor(Strict):
    """One input or output, in the words of MONAI's `network_data_format`; a size as text may be any."""

    type: Literal["image", "probabilities", "features"]
    format: Literal["grayscale", "logits", "segmentation logits", "vector"]
    modality: str | None = None
    num_channels: int = Field(gt=0)
    spatial_shape: list[int]
    dtype: Literal["uint8", "float32"]
    value_range: list[float]
    is_patch_data: Literal[False] = False
    channel_def: dict[str, str]


class Format(Strict):
    """Inputs and outputs of the graphs; each has the batch as its first axis."""

    inputs: dict[Literal["image"], Tensor]
    outputs: dict[Output, Tensor]


class Metadata(Strict):
    """`metadata.json`.

    `image_px`: side of what a graph takes; `output_px`: side of its masks; `filters`: of the image at 256 pixels,
    before it is resized; `classes`: label -> place in `class`; `temperature`: class logits are divided by it before the
    softmax (or sigmoid, where there is one), as fitted on Val; `roi`: lung masks that the graph looks through, by the
    name of the run that it predicts them with, `whole` for none; `weights`: how they are stored (they are computed with
    in float32); `trust`: warning's code -> its limit; `scores`: measure on Test -> value of each member; `sha256`: of
    all other keys.
    """

    name: str
    version: str
    covidqu_version: str
    task: str
    description: str
    authors: str
    copyright: str
    intended_use: str
    limits: list[str] = Field(min_length=1)
    run: str
    system: str
    image_px: int = Field(ge=32, le=512)
    output_px: int = Field(ge=32, le=512)
    filters: list[Filter]
    roi: str
    normalise: Literal["unit", "imagenet", "lung_tissue"]
    flip_test: bool
    weights: Literal["float32", "float16"]
    outputs: Annotated[list[Output], Once] = Field(min_length=1)
    classes: dict[str, int]
    temperature: float = Field(gt=0)
    members: list[Member] = Field(min_length=1)
    arrays: Arrays
    trust: dict[str, Limit]
    training_data: TrainingData
    scores: dict[str, list[float]]
    network_data_format: Format
    sha256: Hash


@dataclass(frozen=True)
class Bundle:
    """A folder whose files are those that `metadata` names."""

    folder: Path
    metadata: Metadata

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays for the warnings, by name."""
        with np.load(self.folder / self.metadata.arrays.file, allow_pickle=False) as file:
            return dict(file)

    @property
    def limits(self) -> dict[str, Limit]:
        """Warning's code -> its limit."""
        return self.metadata.trust

    @property
    def graphs(self) -> list[Path]:
        """The ONNX file of each member."""
        return [self.folder / member.file for member in self.metadata.members]


def open_bundle(folder: Path | str, seeds: int | None = None) -> Bundle:
    """Read `metadata.json` and compare every file that it names with its SHA-256.

    `folder`, or the name of a bundle that comes with the package; `seeds`: the first so many members, all without it.
    ValueError for what is missing, damaged, of another bundle or of another version of this software, and for more
    seeds than there are.
    """
    folder = named(folder)
    metadata = read_metadata(folder / METADATA)
    parts: list[Member | Arrays] = [*metadata.members, metadata.arrays]
    for part in parts:
        path = folder / part.file
        if not path.is_file():
            raise ValueError(f"{path}: no such file, and {METADATA} names it; {AGAIN}")
        if hashlib.sha256(path.read_bytes()).hexdigest() != part.sha256:
            raise ValueError(f"{path}: damaged, or of another bundle: not the bytes that {METADATA} names; {AGAIN}")
    if seeds is not None and not 1 <= seeds <= len(metadata.members):
        raise ValueError(f"--seeds {seeds}: {folder} has {len(metadata.members)}; name 1 to as many")
    return Bundle(folder, metadata.model_copy(update={"members": metadata.members[:seeds]}))


def named(folder: Path | str) -> Path:
    """The folder itself, or that of the bundle of this name; ValueError where there is neither."""
    path = Path(folder)
    if path.is_dir():
        return path
    shipped = SHIPPED / path
    if len(path.parts) == 1 and shipped.is_dir():
        return shipped
    names = ", ".join(sorted(p.parent.name for p in SHIPPED.glob(f"*/{METADATA}"))) or "none"
    raise ValueError(f"{folder}: neither a folder nor a bundle that comes with this package ({names})")


def read_metadata(path: Path) -> Metadata:
    """ValueError for a file that is not as `write_metadata` wrote it, or that this version does not know."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file; a bundle is a folder that `covidqu export bundle` wrote")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        same = isinstance(raw, dict) and raw.get("sha256") == digest(raw)
    except (ValueError, RecursionError):
        raise ValueError(f"{path}: damaged (no JSON); {AGAIN}") from None
    if not same:
        raise ValueError(f"{path}: damaged: its keys are not those that were written; {AGAIN}")
    try:
        return Metadata.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        what, of = ".".join(map(str, first["loc"])) + f": {first['msg']}", str(raw.get("covidqu_version"))
        raise ValueError(f"{path}: {plain(what)}; written by covidqu {plain(of)}, use that version") from None


def write_metadata(folder: Path, metadata: dict[str, Any]) -> Metadata:
    """Write `metadata.json` with its own hash; ValueError for keys that the schema does not have."""
    checked = Metadata.model_validate(metadata | {"sha256": "0" * 64}).model_dump(mode="json")
    checked |= {"sha256": digest(checked)}
    (folder / METADATA).write_text(json.dumps(checked, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return Metadata.model_validate(checked)


def digest(metadata: dict[str, Any]) -> str:
    """SHA-256 of all keys but `sha256`, in one order."""
    rest = {key: value for key, value in metadata.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
