"""Get the archive, whatever its source.

Enters: `download` settings; a release on Kaggle, a zip file, a folder, or nothing (the phantom). Leaves: one zip file,
there whole or not at all. What is inside is the business of the `pack` step.
"""

import errno
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from covidqu.config.data import Download
from covidqu.files import replacing
from covidqu.ingest.kaggle import fetch, require_space
from covidqu.ingest.phantom import write_phantom

TREES = ("Infection Segmentation Data", "Lung Segmentation Data")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can name: the archive's bytes depend on the images alone
VARIABLE = "COVIDQU_DATA"


def download(out: Path, config: Download) -> None:
    """Write the archive of `config.source` to `out`.

    ValueError for a source that is missing, refused or not the pinned release; OSError for the disk and the network.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if config.source == "phantom":
        write_phantom(out, config.phantom)
    elif config.source == "zip":
        _copy(_local(config, "zip"), out)
    elif config.source == "directory":
        _zip_folder(_local(config, "directory"), out)
    else:
        fetch(out, config.kaggle)


def _local(config: Download, kind: str) -> Path:
    """The file (`zip`) or folder (`directory`) that COVIDQU_DATA, else `download.path`, names."""
    fits = Path.is_file if kind == "zip" else Path.is_dir
    wanted = "a zip file" if kind == "zip" else "a folder"
    variable = os.environ.get(VARIABLE)
    if variable and fits(Path(variable)):
        return Path(variable)
    if config.path is None:
        found = f"{VARIABLE}={variable} is not {wanted}" if variable else f"{VARIABLE} is not set"
        raise ValueError(
            f"download.path: source '{kind}' needs {wanted}, but none is given and {found}; "
            f"set download.path or {VARIABLE} to it"
        )
    path = Path(config.path)
    if not fits(path):
        fault = f"is not {wanted}" if path.exists() else "does not exist"
        raise ValueError(f"download.path: {path} {fault}; source '{kind}' needs {wanted}")
    return path


def _copy(source: Path, out: Path) -> None:
    # a hard link would save the space, but DVC write-protects its outputs, and with a link the user's own file
    if not zipfile.is_zipfile(source):
        raise ValueError(f"{source}: not a zip file (or cut short); get it again or set download.source")
    with _disk_full_named(out, source.stat().st_size), replacing(out) as part:
        shutil.copyfile(source, part)


def _zip_folder(folder: Path, out: Path) -> None:
    """One ZIP_STORED archive of the data set's PNG files, the same bytes for the same files."""
    files = sorted(_images(folder), key=lambda path: path.relative_to(folder).as_posix())
    if not files:
        raise ValueError(
            f"{folder}: no PNG file under '{TREES[0]}' or '{TREES[1]}'; "
            "name the folder that holds at least one of these two folders"
        )
    needed = sum(path.stat().st_size for path in files)
    with _disk_full_named(out, needed), replacing(out) as part, zipfile.ZipFile(part, "w") as archive:
        for path in tqdm(files, desc="zip", unit="file", mininterval=1):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, path.read_bytes(), zipfile.ZIP_STORED)


def _images(folder: Path) -> Iterator[Path]:
    for tree in TREES:
        for parent, _, names in os.walk(folder / tree, followlinks=True):
            yield from (Path(parent, name) for name in names if name.lower().endswith(".png"))


@contextmanager
def _disk_full_named(out: Path, needed: int) -> Iterator[None]:
    """Refuse before the first byte what cannot fit; say what was needed if the disk fills up all the same."""
    require_space(out, needed)
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC, f"no space left for {needed} bytes; free some or change paths.data", str(out)
        ) from None
