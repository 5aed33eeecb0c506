"""Lung masks through which a run looks at the images of the infection subset.

Input: the packed data, and a lung model's predictions for a predicted source. Output: packed bits, one row per
infection image (a single row of ones for `whole`), and a contact sheet for a look by eye.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from covidqu.config.data import CLASSES, PX
from covidqu.data.index import MASK_BYTES, Packed, open_packed, unpack_mask
from covidqu.files import replacing
from covidqu.zipped import reading_zip

ROWS, COLUMNS, CAPTION_PX = 4, 6, 20
LUNG, INFECTION, INK = (255, 200, 0), (0, 120, 255), (235, 235, 235)  # BGR: light blue, orange, near white
FONT = cv2.FONT_HERSHEY_SIMPLEX


def roi(name: str, packed: Path, out: Path, sheet: Path) -> None:
    """Write the masks of `whole`, (1, 8192) of ones, or `ground-truth`, the annotated lungs (M, 8192).

    Raises ValueError for another name.
    """
    data = open_packed(packed)
    if name == "whole":
        bits = np.full((1, MASK_BYTES), 255, np.uint8)
    elif name == "ground-truth":
        bits = np.asarray(data.lung_masks[: len(data.infection_masks)])
    else:
        raise ValueError(f"roi: no annotated source '{name}'; expected whole or ground-truth (others: roi_predicted)")
    _write(name, data, bits, out, sheet)


def roi_predicted(name: str, packed: Path, predictions: Path, out: Path, sheet: Path) -> None:
    """Write the lung masks (M, 8192) that run `name` predicted for every infection image.

    Raises ValueError when the predictions hold no such masks or belong to another run or to other data.
    """
    data = open_packed(packed)
    _write(name, data, _predicted(name, data, predictions), out, sheet)


def _predicted(name: str, data: Packed, path: Path) -> np.ndarray:
    if not path.is_file():
        raise ValueError(f"{path}: no such file; run `predict {name}`")
    with reading_zip(path, f"run `predict {name}` again"), np.load(path) as held:
        missing = [key for key in ("roi_masks", "meta") if key not in held]
        if missing:
            raise ValueError(
                f"{path}: holds no {' and no '.join(missing)}; "
                f"list '{name}' under roi.predicted and run `predict {name}`"
            )
        bits, meta = held["roi_masks"], dict(json.loads(str(held["meta"])))
    wanted = (len(data.infection_masks), MASK_BYTES)
    if bits.shape != wanted or bits.dtype != np.uint8:
        raise ValueError(f"{path}: roi_masks are {bits.dtype} {bits.shape}, expected uint8 {wanted}; rerun `predict`")
    for key, expected in (("data_hash", data.data_hash), ("run", name)):
        if meta.get(key) != expected:
            raise ValueError(f"{path}: {key} is {meta.get(key)}, expected {expected}; rerun `predict {name}`")
    return bits


def _write(name: str, data: Packed, bits: np.ndarray, out: Path, sheet: Path) -> None:
    encoded, png = cv2.imencode(".png", contact_sheet(name, data, bits))
    assert encoded
    with replacing(out) as part, part.open("wb") as file:
        np.save(file, bits)
    with replacing(sheet) as part:
        part.write_bytes(png.tobytes())


def contact_sheet(name: str, data: Packed, bits: np.ndarray) -> np.ndarray:
    """BGR picture of up to 24 test images as a run sees them, with the annotated outlines."""
    rows = _chosen(data, len(bits))
    canvas = np.zeros((CAPTION_PX * 2 + ROWS * (PX + CAPTION_PX), COLUMNS * PX, 3), np.uint8)
    title = f"ROI {name}: test images as a run sees them" if len(rows) else f"ROI {name}: no test images of infection"
    cv2.putText(canvas, title, (8, 26), FONT, 0.6, INK, 1, cv2.LINE_AA)
    cv2.putText(canvas, "annotated lung", (COLUMNS * PX - 430, 26), FONT, 0.6, LUNG, 1, cv2.LINE_AA)
    cv2.putText(canvas, "annotated infection", (COLUMNS * PX - 240, 26), FONT, 0.6, INFECTION, 1, cv2.LINE_AA)
    for place, row in enumerate(rows):
        top, left = CAPTION_PX * 2 + place // COLUMNS * (PX + CAPTION_PX), place % COLUMNS * PX
        canvas[top : top + PX, left : left + PX] = _tile(data, row, bits[row if len(bits) > 1 else 0])
        cv2.putText(canvas, data.index["name"].iat[row], (left + 4, top + PX + 14), FONT, 0.42, INK, 1, cv2.LINE_AA)
    return canvas


def _chosen(data: Packed, masks: int) -> np.ndarray:
    """Test rows spread evenly over classes and over the names of a class; only rows that have a mask."""
    index = data.index if masks == 1 else data.index.iloc[:masks]
    present = [s for s in ("infection", "lung") if ((index["subset"] == s) & (index["split"] == "Test")).any()]
    if not present:
        return np.empty(0, np.int64)
    test = (index["subset"] == present[0]) & (index["split"] == "Test")
    chosen, share = [], ROWS * COLUMNS // len(CLASSES)
    for label in CLASSES:
        rows = np.flatnonzero(test & (index["label"] == label))
        if len(rows):
            chosen.append(rows[np.unique(np.linspace(0, len(rows) - 1, share).round().astype(int))])
    return np.concatenate(chosen)


def _tile(data: Packed, row: int, bits: np.ndarray) -> np.ndarray:
    """(256, 256, 3): the image inside the ROI, outlines of lung and infection."""
    image = np.asarray(data.images[row]) * unpack_mask(np.asarray(bits))
    tile = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    outlines = [(LUNG, data.lung_masks), (INFECTION, data.infection_masks)]
    for colour, masks in outlines if row < len(data.infection_masks) else outlines[:1]:
        mask = unpack_mask(np.asarray(masks[row])).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tile, contours, -1, colour, 1)
    return tile
