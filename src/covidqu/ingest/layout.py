"""The archive's table of contents: which entries form an image, in row order, and what is wrong with the names.

Input: an open zip file; output: one `Item` per image, sorted as `data.index` says, or a ValueError that lists the
faults. No pixel is read here. Layout of COVID-QU-Ex:
`{Lung,Infection} Segmentation Data/{same}/{Train,Val,Test}/{class}/{images,lung masks,infection masks}/NAME.png`.
"""

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from covidqu.config.data import CLASSES, SPLITS, SUBSETS
from covidqu.ingest.found import Faults, composed, is_picture, of_another_format, strange

FOLDERS = {"infection": "Infection Segmentation Data", "lung": "Lung Segmentation Data"}
IMAGE, LUNG, INFECTION = "images", "lung masks", "infection masks"
KINDS = {"infection": (IMAGE, LUNG, INFECTION), "lung": (IMAGE, LUNG)}
MOST_BYTES = 1 << 20  # a 256 x 256 grey PNG holds about 66 kB at most; larger entries are refused unread
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of these no small part unpacks to gigabytes unasked
UTF8 = 0x800  # flag of an entry whose name says in which encoding it is

Key = tuple[str, str, str, str]  # subset, split, label, name


@dataclass(frozen=True)
class Item:
    """One image and its masks, by entry name; `infection` is None where the mask is all zero."""

    subset: str
    split: str
    label: str
    name: str
    image: str
    lung: str
    infection: str | None

    @property
    def id(self) -> str:
        return f"{self.subset}/{self.split}/{self.label}/{self.name}"


def contents(archive: Path, entries: Iterable[zipfile.ZipInfo]) -> list[Item]:
    """Items in row order; ValueError names the archive, the entries, the fault and the remedy."""
    faults = Faults(archive)
    found: dict[Key, dict[str, str]] = {}
    seen: set[str] = set()
    for entry in entries:
        if entry.filename in seen:
            faults.add("duplicate entry; build the archive again with each file once", entry.filename)
        seen.add(entry.filename)
        if not entry.filename:
            faults.add("an entry without a name; build the archive again", entry.filename)
        elif _unsafe(entry.filename):
            faults.add("unsafe path (absolute or with ..); build the archive from relative paths", entry.filename)
        elif not entry.is_dir():
            _place(entry, found, faults)
    for key, parts in found.items():
        _complete(key, parts, faults)
    faults.stop_if_any()
    items = [item for key, parts in sorted(found.items(), key=lambda kv: _order(kv[0])) for item in _item(key, parts)]
    if not items:
        raise ValueError(
            f"{archive}: holds neither '{FOLDERS['lung']}' nor '{FOLDERS['infection']}' with images; "
            "get the COVID-QU-Ex archive with the `download` step"
        )
    return items


def natural(name: str) -> tuple[list[str | int], str]:
    """Sort key with which covid_2 comes before covid_10."""
    parts = re.split(r"([0-9]+)", name)  # text and digits alternate, so that like is compared with like
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], name


def _order(key: Key) -> tuple:
    subset, split, label, name = key
    return SUBSETS.index(subset), SPLITS.index(split), CLASSES.index(label), natural(name)


def _unsafe(name: str) -> bool:
    parts = re.split(r"[/\\]", name)
    return name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name) is not None


def _place(entry: zipfile.ZipInfo, found: dict[Key, dict[str, str]], faults: Faults) -> None:
    """File one PNG under its image; anything outside the two trees, and what is no picture, is left aside."""
    path = PurePosixPath(entry.filename)
    if "\\" in entry.filename and any(folder in entry.filename for folder in FOLDERS.values()):
        faults.add("a name with backslashes, as PowerShell 5 writes them; zip again with another tool", entry.filename)
        return
    subset = next((s for part in path.parts for s in SUBSETS if part == FOLDERS[s]), None)
    if subset is None or "__MACOSX" in path.parts:
        return
    if of_another_format(path.name):
        faults.add("a picture that is no PNG; convert it, its masks are of the same pixels", entry.filename)
    if not is_picture(path.name):
        return
    where = path.parts[len(path.parts) - path.parts[::-1].index(FOLDERS[subset]) : -1]
    misplaced = _misplaced(where, KINDS[subset])
    if fault := strange(entry.filename) or misplaced or _unreadable(entry):
        faults.add(fault, entry.filename)
    if misplaced:
        return
    split, label, kind = where
    parts = found.setdefault((subset, split, label, composed(path.name[: -len(".png")])), {})
    if kind in parts and parts[kind] != entry.filename:
        faults.add("a second file for one picture; keep one of them", entry.filename)
    parts.setdefault(kind, entry.filename)


def _unreadable(entry: zipfile.ZipInfo) -> str | None:
    """Why the bytes of an entry are not read; None for one that is."""
    if entry.file_size > MOST_BYTES:
        return f"entry larger than {MOST_BYTES} bytes, no {IMAGE[:-1]} of 256 x 256; replace the file"
    if entry.flag_bits & 1:
        return "encrypted entry; build the archive without a password"
    if entry.compress_type not in METHODS:
        return f"entry compressed by method {entry.compress_type}; zip again with Deflate, the usual one"
    if not entry.flag_bits & UTF8 and not entry.filename.isascii():
        return "a name whose encoding the archive does not say; rename the file in plain letters, and zip again"
    return None


def _misplaced(where: tuple[str, ...], kinds: tuple[str, ...]) -> str | None:
    """What is wrong with the folders (split, class, kind) of a PNG."""
    if not where or where[0] not in SPLITS:
        return f"unexpected split folder; expected one of {', '.join(SPLITS)}"
    if len(where) == 1 or where[1] in kinds:
        return f"image without class; move it to a class folder: {', '.join(CLASSES)}"
    if where[1] not in CLASSES:
        return f"unexpected class folder; expected one of {', '.join(CLASSES)}"
    if len(where) != 3 or where[2] not in kinds:
        return f"unexpected place of a PNG; expected a folder {', '.join(kinds)} inside the class folder"
    return None


def _complete(key: Key, parts: dict[str, str], faults: Faults) -> None:
    """Note masks without image and images without the masks they must have."""
    for kind in (LUNG, INFECTION):
        if IMAGE not in parts and kind in parts:
            faults.add("mask without image; add the image or remove the mask", parts[kind])
    if IMAGE in parts and LUNG not in parts:
        faults.add("image without mask: the lung mask is missing; add it", parts[IMAGE])
    if IMAGE in parts and INFECTION not in parts and key[0] == "infection" and key[2] == "COVID-19":
        faults.add("image without mask: the infection mask of a COVID-19 image is missing; add it", parts[IMAGE])


def _item(key: Key, parts: dict[str, str]) -> list[Item]:
    if IMAGE not in parts or LUNG not in parts:
        return []
    return [Item(*key, image=parts[IMAGE], lung=parts[LUNG], infection=parts.get(INFECTION))]
