"""The data set in the Croissant format of MLCommons, version 1.0.

Input: the archive's pin in the parameters, and for phantoms the archive. Output: JSON-LD. It describes the archive as
it is published, so any Croissant loader can read images, masks, split and class from it without this package.
"""

import json
from pathlib import Path
from typing import Any

import mlcroissant as mlc

from covidqu.config.data import CLASSES, SPLITS
from covidqu.config.params import Params
from covidqu.files import sha256
from covidqu.ingest.layout import FOLDERS, IMAGE, INFECTION, LUNG
from covidqu.standards.evaluation import dataset

ARCHIVE = "archive"
NAMES = {IMAGE: "images", LUNG: "lung_masks", INFECTION: "infection_masks"}  # folder: file set and record set
PARTS = {  # field: what it is, and the part of an entry's path that it takes
    "subset": ("Folder of the subset", f".*?({'|'.join(FOLDERS.values())})/"),
    "split": ("Official split", f".*/({'|'.join(SPLITS)})/"),
    "class": ("Class of the image", f".*/({'|'.join(CLASSES)})/"),
    "name": ("File name without suffix: the same for an image and its masks", r".*/([^/]+)\.png$"),
}


def croissant(params: Params, archive: Path) -> str:
    """JSON text; `archive` is read for phantoms only, whose bytes no release pins (ValueError when it is missing)."""
    return json.dumps(metadata(params, archive).to_json(), indent=2, ensure_ascii=False, default=str) + "\n"


def metadata(params: Params, archive: Path) -> mlc.Metadata:
    """Archive, one file set and one record set each for images, lung masks and infection masks."""
    phantom, pin = params.download.source == "phantom", params.download.kaggle
    page = f"{pin.base_url.rstrip('/')}/datasets/{pin.dataset}"
    return mlc.Metadata(
        name=dataset(params).replace(" ", "-"),
        description="Chest radiographs of COVID-19, other pneumonia and normal lungs, masks of lungs and infection. "
        + ("Synthetic phantoms in the layout of COVID-QU-Ex." if phantom else "Not for diagnosis."),
        license=[
            "https://opensource.org/license/mit" if phantom else "https://creativecommons.org/licenses/by-sa/4.0/"
        ],
        url=None if phantom else page,
        version=f"{params.download.phantom.seed if phantom else pin.version}.0.0",
        cite_as=None if phantom else "Tahir et al. (2021), doi 10.1016/j.compbiomed.2021.105002",
        data_biases=None
        if phantom
        else ["Class and source collection go together: a classifier can score by the collection."],
        data_limitations=["There are no patient identifiers: one patient may be in two splits."],
        distribution=[_of_phantom(archive) if phantom else _release(params), *map(_file_set, NAMES)],
        record_sets=[_record_set(folder) for folder in NAMES],
    )


def _release(params: Params) -> mlc.FileObject:
    pin = params.download.kaggle
    return mlc.FileObject(
        id=ARCHIVE,
        name="COVID-QU-Ex.zip",
        description=f"{pin.files} files, {pin.unpacked_bytes} bytes unpacked; no account is needed.",
        content_url=f"{pin.base_url.rstrip('/')}/api/v1/datasets/download/{pin.dataset}"
        f"?datasetVersionNumber={pin.version}",
        encoding_formats=["application/zip"],
        sha256=pin.sha256,
    )


def _of_phantom(archive: Path) -> mlc.FileObject:
    if not archive.is_file():
        raise ValueError(f"{archive}: no such file; run `covidqu source`, then `covidqu download --out {archive}`")
    return mlc.FileObject(
        id=ARCHIVE,
        name=archive.name,
        description="Written by `covidqu download`.",
        content_url=archive.name,
        content_size=f"{archive.stat().st_size} B",
        encoding_formats=["application/zip"],
        sha256=sha256(archive),
    )


def _file_set(folder: str) -> mlc.FileSet:
    return mlc.FileSet(
        id=f"{NAMES[folder]}_files",
        name=f"{NAMES[folder]}_files",
        description=f"Every PNG file in a folder '{folder}'.",
        contained_in=[ARCHIVE],
        encoding_formats=["image/png"],
        includes=[f"*/{folder}/*.png"],
    )


def _record_set(folder: str) -> mlc.RecordSet:
    """One record per PNG file; `subset`, `split`, `class` and `name` together lead from an image to its masks."""
    name = NAMES[folder]
    path = {"file_property": mlc.FileProperty.fullpath}
    fields = [_field(name, "id", "Path in the archive", mlc.DataType.TEXT, path, r"/?(.*)")]
    fields += [_field(name, key, words, mlc.DataType.TEXT, path, regex) for key, (words, regex) in PARTS.items()]
    content = {"file_property": mlc.FileProperty.content}
    fields.append(_field(name, "pixels", "256 x 256 grey pixels", mlc.DataType.IMAGE_OBJECT, content))
    return mlc.RecordSet(
        id=name, name=name, description=f"One per file in '{folder}'.", key=[f"{name}/id"], fields=fields
    )


def _field(name: str, key: str, words: str, kind: Any, extract: dict[str, Any], regex: str = "") -> mlc.Field:
    return mlc.Field(
        id=f"{name}/{key}",
        name=key,
        description=words,
        data_types=[kind],
        source=mlc.Source(
            file_set=f"{name}_files",
            extract=mlc.Extract(**extract),
            transforms=[mlc.Transform(regex=regex)] if regex else [],
        ),
    )
