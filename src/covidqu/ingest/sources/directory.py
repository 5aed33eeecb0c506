"""The archive from a folder with the data set's PNG files, as it was unpacked."""

import os
import stat
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tqdm import tqdm

from covidqu.files import replacing
from covidqu.imports import digest
from covidqu.ingest.found import Faults, composed, is_picture, of_another_format, strange
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

    Names are in the normal form NFC. ValueError without PNG files, for a folder that is reached twice (a link to a
    parent), and with up to ten names of each kind of what cannot be read or would be left out.
    """
    seen: dict[tuple[int, int], Path] = {}
    faults = Faults(folder, "cannot be read whole")
    found = sorted(entry for tree in TREES for entry in _walk(folder / tree, tree, seen, faults))
    for (name, path, _), (following, _, _) in pairwise(found):
        if name == following:
            faults.add("two names that differ in their Unicode normal form only; keep one of them", str(path))
    faults.stop_if_any()
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


def _walk(
    folder: Path, name: str, seen: dict[tuple[int, int], Path], faults: Faults
) -> Iterator[tuple[str, Path, os.stat_result]]:
    try:
        if not folder.is_dir():
            return
        status = folder.stat()
        with os.scandir(folder) as listed:
            entries = list(listed)
    except OSError as error:
        faults.add(f"a folder that cannot be read ({error.strerror}); see to its mode", str(folder))
        return
    first = seen.setdefault((status.st_dev, status.st_ino), folder)
    if first != folder:
        links = [path for place in (folder, first) for path in (place, *place.parents) if path.is_symlink()]
        raise ValueError(f"{links[0] if links else folder}: {folder} and {first} are one folder; remove this link")
    for entry in entries:
        path, inner = folder / entry.name, composed(f"{name}/{entry.name}")
        if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and path.is_dir()):
            yield from _walk(path, inner, seen, faults)
        elif of_another_format(entry.name):
            faults.add("a picture that is no PNG; convert it, its masks are of the same pixels", str(path))
        elif is_picture(entry.name):
            said, fault = _status(path)
            if fault := fault or strange(inner):
                faults.add(fault, str(path))
            elif said:
                yield inner, path, said


def _status(path: Path) -> tuple[os.stat_result | None, str | None]:
    """What the disk says of a file, and why it cannot be read."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None, "a symbolic link to nowhere; remove it"
    except OSError as error:
        return None, f"a file that cannot be read ({error.strerror}); see to it or remove it"
    if not stat.S_ISREG(status.st_mode):
        return None, "neither a file nor a folder; remove it"
    return status, None if os.access(path, os.R_OK) else "a file that may not be read; see to its mode or remove it"
