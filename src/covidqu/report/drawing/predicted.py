"""What a run predicted for a few images, for figures that show them: predictions.npz in, arrays at 256 pixels out."""

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from covidqu.config.data import PX
from covidqu.evaluate.classification import probabilities
from covidqu.evaluate.predictions import Predictions, open_predictions
from covidqu.report.core.sources import Sources
from covidqu.zipped import reading_zip


def opened(sources: Sources, run: str) -> Predictions:
    """Header and small arrays of a run's predictions; ValueError when the file is missing or broken."""
    path = sources.folder(run) / "predictions.npz"
    if not path.is_file():
        raise ValueError(f"{path}: missing; run the `predict` step of {run}")
    return open_predictions(path)


def places(found: Predictions, rows: list[int]) -> list[int]:
    """Where rows of the index stand in the predictions; ValueError for one that is not there."""
    missing = [row for row in rows if row not in found.rows]
    if missing:
        run = found.meta["run"]
        raise ValueError(f"run {run} has no prediction for row {missing[0]} of the index; run its `predict` step again")
    return [int(np.flatnonzero(found.rows == row)[0]) for row in rows]


def maps(found: Predictions, key: str, rows: list[int]) -> np.ndarray:
    """(len(rows), 256, 256) float32 of one array, such as `infection_logits` or `reconstruction`.

    Only these images are read: the predictions of a whole test set do not fit into the memory of a small machine.
    """
    return np.stack([at_256(block) for block in _picked(found.path, key, places(found, rows))])


def at_256(values: np.ndarray) -> np.ndarray:
    """(h, h) of any side -> (256, 256) float32, bilinear between the centres of pixels."""
    found = np.ascontiguousarray(values, np.float32)
    return found if found.shape == (PX, PX) else cv2.resize(found, (PX, PX), interpolation=cv2.INTER_LINEAR)


def classes(found: Predictions, rows: list[int]) -> list[tuple[str, float]]:
    """Name of the class decided on and its probability, for each row; labels of one class are joined."""
    if found.class_logits is None or not found.meta.get("classes"):
        raise ValueError(f"{found.path}: no class_logits or no `classes` in meta; run `predict` again")
    return decisions(found.class_logits[places(found, rows)], found.meta["classes"])


def decisions(logits: np.ndarray, labels: dict[str, int]) -> list[tuple[str, float]]:
    """(n, K) class logits -> n times the class decided on and its probability; `labels`: label -> class."""
    chosen = probabilities(np.asarray(logits, np.float64))
    best = chosen.argmax(axis=1)
    return [(class_name(labels, int(k)), float(p[k])) for k, p in zip(best, chosen, strict=True)]


def class_name(labels: dict[str, int], k: int) -> str:
    """The labels of class `k` of a head (label -> class)."""
    return " or ".join(label for label, number in labels.items() if number == k)


def _picked(path: Path, key: str, wanted: list[int]) -> list[np.ndarray]:
    """Single entries along the first axis of an array in an .npz file, in the order asked for."""
    with reading_zip(path, "run `predict` again"), zipfile.ZipFile(path) as archive:
        if f"{key}.npy" not in archive.namelist():
            raise ValueError(f"{path}: no '{key}'; the run was not trained for it or predicted before: predict again")
        with archive.open(f"{key}.npy") as file:
            shape, fortran, dtype = _header(file)
            if len(shape) != 3 or shape[1] != shape[2] or fortran:
                raise ValueError(f"{path}: {key} is {shape}, want (n, side, side) in C order; run `predict` again")
            start, size = file.tell(), shape[1] * shape[2] * dtype.itemsize
            entries = {}
            for place in sorted(set(wanted)):
                file.seek(start + place * size)
                entries[place] = np.frombuffer(file.read(size), dtype).reshape(shape[1:])
    return [entries[place] for place in wanted]


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)
