"""Reads predictions.npz: header and small arrays at once, logits in blocks, so that memory does not grow with n."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from covidqu.config.data import PX
from covidqu.files import Damaged
from covidqu.zipped import reading_zip

MOST_PX = 512  # of the logits of any run
AGAIN = "run `predict` again"
META_KEYS = ("run", "weights_sha256", "data_hash", "roi", "subset", "split", "tasks")


@dataclass(frozen=True)
class Predictions:
    """`rows` (n,) of the index; `class_logits` (n, K) float32 or None; `meta` says what made them."""

    path: Path
    meta: dict[str, Any]
    rows: np.ndarray
    class_logits: np.ndarray | None

    @property
    def px(self) -> int:
        """Side of the mask logits."""
        return self.meta.get("px", PX)

    def logits(self, task: str, images: int) -> Iterator[np.ndarray]:
        """Blocks (<= images, px, px) float16 in row order; ValueError for another shape, type, or nan and inf."""
        return self._blocks(f"{task}_logits", task, self.px, images)

    def reconstruction(self, images: int) -> Iterator[np.ndarray]:
        """Blocks (<= images, 256, 256) float16 of intensities, about 0..1; ValueError as for `logits`."""
        return self._blocks("reconstruction", "reconstruction", PX, images)

    def _blocks(self, key: str, task: str, px: int, images: int) -> Iterator[np.ndarray]:
        with reading_zip(self.path, AGAIN), zipfile.ZipFile(self.path) as archive:
            if f"{key}.npy" not in archive.namelist():
                raise ValueError(f"{self.path}: no '{key}', though its meta names task '{task}'; run `predict` again")
            with archive.open(f"{key}.npy") as file:
                shape, fortran, dtype = _header(file)
                wanted = (len(self.rows), px, px)
                if shape != wanted or fortran or dtype != np.float16:
                    raise ValueError(f"{self.path}: {key} is {shape} {dtype}, want {wanted} float16; predict again")
                for start in range(0, len(self.rows), images):
                    count = min(images, len(self.rows) - start)
                    block = np.frombuffer(file.read(count * px * px * dtype.itemsize), dtype).reshape(count, px, px)
                    # the checksum of an entry is compared when its last byte is read
                    if start + count == len(self.rows) and file.read(1):
                        raise Damaged(self.path, f"{key} is longer than its header says", AGAIN)
                    if not np.isfinite(block).all():
                        raise ValueError(f"{self.path}: {key} holds nan or inf; the model diverged, train it again")
                    yield block


def open_predictions(path: Path) -> Predictions:
    """Read all but the logits; ValueError for a file that is not what `predict` writes."""
    with reading_zip(path, AGAIN), np.load(path) as arrays:
        if missing := {"meta", "row"} - set(arrays.files):
            raise ValueError(f"{path}: {', '.join(sorted(missing))} missing; {AGAIN}")
        meta = json.loads(str(arrays["meta"]))
        rows = arrays["row"].astype(np.int64, casting="safe")
        class_logits = arrays["class_logits"].astype(np.float32) if "class_logits" in arrays.files else None
    checked(meta, path, AGAIN)
    if rows.ndim != 1 or not len(rows):
        raise ValueError(f"{path}: row has shape {rows.shape}, want (n,) with n > 0; run `predict` again")
    if class_logits is not None and (class_logits.ndim != 2 or len(class_logits) != len(rows)):
        raise ValueError(f"{path}: class_logits {class_logits.shape} do not fit {len(rows)} rows; run `predict` again")
    if class_logits is not None and not np.isfinite(class_logits).all():
        raise ValueError(f"{path}: class_logits hold nan or inf; the model diverged, train it again")
    if class_logits is None and "class" in meta["tasks"]:
        raise ValueError(f"{path}: no 'class_logits', though its meta names task 'class'; run `predict` again")
    return Predictions(path, meta, rows, class_logits)


def checked(meta: Any, path: Path, remedy: str) -> dict[str, Any]:
    """What predictions and scores say of themselves; ValueError for a key that is missing or holds another thing."""
    if not isinstance(meta, dict):
        raise ValueError(f"{path}: meta is {type(meta).__name__}, an object is wanted; {remedy}")
    if lost := [key for key in META_KEYS if key not in meta]:
        raise ValueError(f"{path}: meta lacks {', '.join(lost)}; {remedy}")
    words = [key for key in META_KEYS if key != "tasks" and not isinstance(meta[key], str | None)]
    tasks, classes = meta["tasks"], meta.get("classes", {})
    if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
        words.append("tasks")
    if not isinstance(meta.get("px", PX), int) or not 1 <= meta.get("px", PX) <= MOST_PX:
        words.append("px")
    if not isinstance(classes, dict) or not all(isinstance(value, int) for value in classes.values()):
        words.append("classes")
    if words:
        raise ValueError(f"{path}: meta holds another thing than {', '.join(words)}; {remedy}")
    return meta


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)
