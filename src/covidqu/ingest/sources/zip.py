"""The archive from a zip file on this machine: a copy of it."""

import os
import shutil
import zipfile
from pathlib import Path

from covidqu.files import replacing
from covidqu.ingest.space import disk_full_named

WANTED = "a zip file"


def fits(path: Path) -> bool:
    """Whether this may be the source: any file."""
    return path.is_file()


def code() -> None:
    """Nothing besides the file decides on the archive."""


def files(path: Path) -> list[tuple[str, Path, os.stat_result]]:
    """The one file. ValueError when it is no zip file."""
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not a zip file (or cut short); get it again or set download.source")
    return [("", path, path.stat())]


def write(out: Path, path: Path) -> None:
    """Copy; a hard link would save the space, but DVC may write-protect its outputs, and so the user's own file."""
    [(_, _, status)] = files(path)
    with disk_full_named(out, status.st_size), replacing(out) as part:
        shutil.copyfile(path, part)
