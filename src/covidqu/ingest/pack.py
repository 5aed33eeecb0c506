"""The archive read once, entry by entry, into three arrays and an index; nothing is unpacked to disk.

Input: the COVID-QU-Ex zip. Output, in `out`: `images.npy`, `lung_masks.npy`, `infection_masks.npy`, `index.parquet`
as described in `data.index`, all of them or none. Every entry is checked: PNG, 256 x 256, 8-bit grey, masks of 0 and
255 only, Normal and Non-COVID images without infection.
"""

import errno
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from covidqu.config.data import PX
from covidqu.cores import cores
from covidqu.data.index import IMAGES, INDEX, INFECTION_MASKS, LUNG_MASKS, MASK_BYTES, pack_mask
from covidqu.errors import first_line
from covidqu.files import put, staged
from covidqu.ingest.found import Faults
from covidqu.ingest.layout import MOST_BYTES, Item, contents

FILES = (IMAGES, LUNG_MASKS, INFECTION_MASKS, INDEX)  # in the order in which they get their names: the index last
CHUNK = 1024  # images between two looks at the faults
Record = dict[str, object]  # one row of the index
_DAMAGED = "damaged or truncated zip entry; download the archive again"


class _Fault(Exception):
    """(what is wrong and what to do, entry)."""


def pack(archive: Path, out: Path) -> None:
    """Write the packed data set into the folder `out`.

    Raises ValueError naming the archive and up to ten entries for every kind of fault (not a zip, damaged entries,
    wrong size or mode, missing or stray masks, values other than 0 and 255, misplaced images, unsafe or repeated
    names), and OSError when the disk is full; in both cases `out` keeps what it had, which is nothing at first.
    """
    with _opened(archive) as source, _staging(out) as staging:
        items = contents(archive, source.infolist())
        _pack_items(archive, source, items, staging)


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    if not archive.is_file():
        raise ValueError(f"{archive}: no such file; run the `download` step")
    try:
        source = zipfile.ZipFile(archive)
    except Exception as error:  # zipfile lets through what its own parts raise
        raise ValueError(f"{archive}: not a zip file, or truncated ({first_line(error)}); download it again") from error
    with source:
        yield source


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A hidden sibling folder whose files move to `out` at the end; gone in any case."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: is a file, but the packed data are a folder; move it or name another folder")
    try:
        with staged(out) as staging:
            staging.mkdir()
            yield staging
            out.mkdir(exist_ok=True)
            (out / INDEX).unlink(missing_ok=True)  # never an old index beside new arrays
            for name in FILES:
                put(staging / name, out / name)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(error.errno, f"disk full while packing; free space (the full set takes 3.3 GB): {out}") from error


def _pack_items(archive: Path, source: zipfile.ZipFile, items: list[Item], staging: Path) -> None:
    infected = sum(item.subset == "infection" for item in items)
    assert all(item.subset == "infection" for item in items[:infected]), "infection rows come first"
    _reserve(staging / IMAGES, (len(items), PX, PX))
    _reserve(staging / LUNG_MASKS, (len(items), MASK_BYTES))
    _reserve(staging / INFECTION_MASKS, (infected, MASK_BYTES))
    records: list[Record] = []
    faults = Faults(archive)
    workers = min(8, cores())
    with ThreadPoolExecutor(workers) as pool, tqdm(total=len(items), unit="image", desc="pack", mininterval=1) as bar:
        for start in range(0, len(items), CHUNK):
            for outcome in _pack_rows(pool, source, items, range(start, min(start + CHUNK, len(items))), staging):
                if isinstance(outcome, _Fault):
                    faults.add(*outcome.args)
                else:
                    records.append(outcome)
                bar.update()
            faults.stop_if_any()
    _write_index(records, staging / INDEX)


def _pack_rows(
    pool: ThreadPoolExecutor, source: zipfile.ZipFile, items: list[Item], rows: range, staging: Path
) -> Iterator[Record | _Fault]:
    """Fill some rows; the arrays are mapped anew for every chunk, which keeps the resident memory to one chunk."""
    files = (IMAGES, LUNG_MASKS, INFECTION_MASKS)
    images, lungs, infections = (np.lib.format.open_memmap(staging / name, mode="r+") for name in files)

    def one(row: int) -> Record | _Fault:
        try:
            image, lung, infection = _decoded(source, items[row])
        except _Fault as fault:
            return fault
        images[row], lungs[row] = image, lung
        if row < len(infections):
            infections[row] = infection
        return _described(items[row], image, lung, infection)

    yield from pool.map(one, rows)
    for array in (images, lungs, infections):
        array.flush()


def _reserve(path: Path, shape: tuple[int, ...]) -> None:
    """New .npy file of uint8 with its disk space taken: a full disk must fail here, not as a bus error later."""
    if shutil.disk_usage(path.parent).free < np.prod(shape):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):  # absent on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _decoded(source: zipfile.ZipFile, item: Item) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image (256, 256) uint8, lung and infection masks (8192,) packed bits."""
    image = _pixels(source, item.image)
    lung = _mask(source, item.lung)
    if item.infection is None:
        return image, lung, np.zeros(MASK_BYTES, np.uint8)
    infection = _mask(source, item.infection)
    if item.label != "COVID-19" and infection.any():
        raise _Fault(
            f"infection mask of a {item.label} image is not empty; move the image or clear the mask", item.infection
        )
    return image, lung, infection


def _pixels(source: zipfile.ZipFile, entry: str) -> np.ndarray:
    """(256, 256) uint8 of one PNG entry. Pillow, because OpenCV turns 1-bit and palette images into others unasked."""
    try:
        with source.open(entry) as stream:
            data = stream.read(MOST_BYTES + 1)  # what an entry says of its length need not be true
            stream.read(1)  # at its end the checksum is compared
    except Exception as error:  # zipfile lets through what its own parts raise
        raise _Fault(_DAMAGED, entry) from error
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.size != (PX, PX):
                raise _Fault(f"size {image.width} x {image.height}, expected {PX} x {PX}; resize or remove it", entry)
            if image.mode != "L":
                raise _Fault(f"mode {image.mode}, expected 8-bit grey (L); convert it", entry)
            return np.asarray(image)
    except _Fault:
        raise
    except Exception as error:  # Pillow, too
        raise _Fault("not a PNG image, or a truncated one; replace the file", entry) from error


def _mask(source: zipfile.ZipFile, entry: str) -> np.ndarray:
    """(8192,) packed bits of one mask entry."""
    pixels = _pixels(source, entry)
    mask = pixels > 127
    if (pixels != mask * np.uint8(255)).any():
        raise _Fault("mask with values other than 0 and 255; make it binary", entry)
    return pack_mask(mask)


def _described(item: Item, image: np.ndarray, lung: np.ndarray, infection: np.ndarray) -> Record:
    """One row of the index."""
    return {
        "id": item.id,
        "subset": item.subset,
        "split": item.split,
        "label": item.label,
        "name": item.name,
        "image_sha256": hashlib.sha256(image.tobytes()).hexdigest(),
        "masks_sha256": hashlib.sha256(lung.tobytes() + infection.tobytes()).hexdigest(),
        "phash": perceptual_hash(image),
        "lung_px": int(np.bitwise_count(lung).sum()),
        "infection_px": int(np.bitwise_count(infection).sum()),
    }


def perceptual_hash(image: np.ndarray) -> str:
    """(256, 256) uint8 -> 16 hex digits: the 8 x 8 lowest DCT terms of a 32 x 32 thumbnail against their median."""
    small = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float64)
    low = cv2.dct(small)[:8, :8]
    return np.packbits(low > np.median(low)).tobytes().hex()


def _write_index(records: list[Record], path: Path) -> None:
    from covidqu.ingest.schema import INDEX_SCHEMA

    index = pd.DataFrame(records).astype({"lung_px": "int32", "infection_px": "int32"})
    INDEX_SCHEMA.validate(index).to_parquet(path, index=False, write_page_checksum=True)
