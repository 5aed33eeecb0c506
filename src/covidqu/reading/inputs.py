"""What a call is to read: files, folders and patterns in; one path and one name of results per picture out.

A name is the path below the folder that all inputs share, without the suffix, so that equal names in different folders
stay apart. Two pictures that differ in the suffix alone keep it.
"""

import glob
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from covidqu.reading.pictures import SUFFIXES


class Input(NamedTuple):
    """`name`: with / between folders, of results that are called after it."""

    path: Path
    name: str


def inputs(wanted: list[Path], out: Path) -> tuple[list[Input], int]:
    """Sorted inputs, and how many other files the folders hold. Hidden files and folders, and `out`, are not looked at.

    ValueError for a path that is not there, a folder that is `out` or lies inside it, and where no picture is left.
    """
    given = [path for one in wanted for path in expanded(one)]
    hidden_in = out.resolve()
    files: dict[str, Path] = {}
    bases, others = [], 0
    for path in given:
        if path.is_dir():
            if path.resolve().is_relative_to(hidden_in):
                raise ValueError(f"{path}: the results would be written into it; name another folder with --out")
            found, more = pictures_of(path, hidden_in)
            others += more
        else:
            found = [path]
        bases.append(os.path.abspath(path if path.is_dir() else path.parent))
        files |= {os.path.abspath(file): file for file in found}
    if not files:
        raise ValueError(f"{', '.join(map(str, wanted))}: no picture found; known are {', '.join(SUFFIXES)} and DICOM")
    base = os.path.commonpath(bases)
    names = {key: bare(Path(os.path.relpath(key, base))) for key in files}
    twice = Counter(names.values())
    for key, name in names.items():
        if twice[name] > 1:
            names[key] = Path(os.path.relpath(key, base)).as_posix()
    return [Input(files[key], names[key]) for key in sorted(files)], others


def expanded(path: Path) -> list[Path]:
    """The path, or what matches it as a pattern; ValueError where nothing does."""
    if path.exists():
        return [path]
    if glob.has_magic(str(path)):
        if found := sorted(glob.glob(str(path), recursive=True)):
            return [Path(name) for name in found]
        raise ValueError(f"{path}: no file matches this pattern")
    raise ValueError(f"{path}: no such file or folder")


def pictures_of(folder: Path, hidden: Path) -> tuple[list[Path], int]:
    """Files below a folder that look like pictures, and how many others; links to folders are followed once."""
    found, others, seen = [], 0, set()
    for here, folders, names in os.walk(folder, followlinks=True):
        place = Path(here).resolve()
        if place in seen or place == hidden:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            path = Path(here) / name
            if path.suffix.lower() in SUFFIXES or is_dicom(path):
                found.append(path)
            else:
                others += 1
    return found, others


def is_dicom(path: Path) -> bool:
    """Whether a file of any name starts as a DICOM file does, and is not only a directory of them."""
    if path.name.upper().startswith("DICOMDIR"):
        return False
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return True  # said when it is read


def bare(path: Path) -> str:
    """Without the suffix of a picture; that of a UID is no suffix."""
    return (path.with_suffix("") if path.suffix.lower() in SUFFIXES else path).as_posix()
