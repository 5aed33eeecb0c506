"""The archive from a folder with the data set's PNG files, as it was unpacked."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from covidqu.files import replacing
from covidqu.imports import digest
from covidqu.ingest.space import disk_full_named

TREES = ("Infection Segmentation Data", "Lung Segmentation Data")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can name: the archive's bytes depend on the images alone
WANTED = "a folder that holds 'Infection Segmentation Data' or 'Lung Segmentation Data'"


def fits(path: Path) -> bool:
    """Whether this may be the source: any folder."""
    return path.is_dir()


def code() -> str:
    """What besides the files decides on the archive."""
    return digest("ingest.sources.directory")


def files(folder: Path) -> list[tuple[str, Path, os.stat_result]]:
    """(name in the archive, path, status) of all PNG files, sorted by name.

    ValueError without PNG files, for a link to nowhere, and for a folder that is reached twice (a link to a parent).
    """
    seen: dict[tuple[int, int], Path] = {}
    found = sorted(entry for tree in TREES for entry in _walk(folder / tree, tree, seen))
    if not found:
        raise ValueError(
            f"{folder}: no PNG file under '{TREES[0]}' or '{TREES[1]}'; "
            "name the folder that holds at least one of these two folders"
        )
    return found


def write(out: Path, folder: Path) -> None:
    """One ZIP_STORED archive of the data set's PNG files, the same bytes for the same files."""
    found = files(folder)
    needed = sum(status.st_size for _, _, status in found)
    with disk_full_named(out, needed), replacing(out) as part, zipfile.ZipFile(part, "w") as archive:
        for name, path, _ in tqdm(found, desc="zip", unit="file", mininterval=1):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, path.read_bytes(), zipfile.ZIP_STORED)


def _walk(folder: Path, name: str, seen: dict[tuple[int, int], Path]) -> Iterator[tuple[str, Path, os.stat_result]]:
    if not folder.is_dir():
        return
    status = folder.stat()
    first = seen.setdefault((status.st_dev, status.st_ino), folder)
    if first != folder:
        links = [path for place in (folder, first) for path in (place, *place.parents) if path.is_symlink()]
        raise ValueError(f"{links[0] if links else folder}: {folder} and {first} are one folder; remove this link")
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_dir():
                    yield from _walk(folder / entry.name, f"{name}/{entry.name}", seen)
                elif entry.name.lower().endswith(".png"):
                    yield f"{name}/{entry.name}", folder / entry.name, entry.stat()
            except FileNotFoundError:
                raise ValueError(f"{folder / entry.name}: a symbolic link to nowhere; remove it") from None
