"""Outlines of masks for a web page: boolean masks in, SVG path data out.

Coordinates are integers in half pixels of the mask, (0, 0) the outer corner of its first pixel, so that an image of
256 x 256 under `viewBox="0 0 512 512"` and these paths lie exactly on each other.
"""

from pathlib import Path

import cv2
import numpy as np

from covidqu.config.data import PX
from covidqu.data.index import Packed, unpack_mask
from covidqu.evaluate.predictions import Predictions
from covidqu.evaluate.scores import resized
from covidqu.zipped import reading_zip

UNITS = 2  # per pixel
TOLERANCE = 1.0  # in units: no vertex that is left out lies farther than half a pixel from the outline
BLOCK = 32  # images of logits in memory at once
SQUARE = np.ones((2, 2), np.uint8)


def outline(mask: np.ndarray) -> str:
    """(h, w) bool -> closed rings for the even-odd rule, holes among them; empty for an empty mask.

    A ring runs through the middle of each pixel edge between inside and outside (marching squares at 0.5), then is
    simplified (Douglas and Peucker 1973). A ring that this would flatten to a line is kept as it was.
    """
    return "".join(_path(ring) for ring in rings(mask))


def rings(mask: np.ndarray) -> list[np.ndarray]:
    """(n, 2) int32 each: x, y in half pixels, simplified."""
    corner = (1, 1)  # a pixel becomes 3 x 3 points: its corners, the middles of its edges, its centre
    padded = cv2.copyMakeBorder(mask.view(np.uint8), *(1, 1, 1, 1), cv2.BORDER_CONSTANT)
    points = cv2.dilate(
        cv2.resize(padded, None, fx=UNITS, fy=UNITS, interpolation=cv2.INTER_NEAREST), SQUARE, anchor=corner
    )
    found, _ = cv2.findContours(points, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [_simplified(_edges(ring[:, 0]) - UNITS) for ring in found]


def _edges(border: np.ndarray) -> np.ndarray:
    """Middles of pixel edges among the points of a border: one coordinate even, the other odd."""
    return border[border.sum(axis=1) % 2 == 1]


def _simplified(ring: np.ndarray) -> np.ndarray:
    found = cv2.approxPolyDP(ring[:, None], TOLERANCE, closed=True)[:, 0]
    return found if len(found) > 2 else ring


def _path(ring: np.ndarray) -> str:
    """Absolute start, then relative steps: a minus sign is separator enough."""
    steps = "".join(f"{v}" if v < 0 else f" {v}" for v in np.diff(ring, axis=0).ravel().tolist())
    return f"M{ring[0, 0]} {ring[0, 1]}l{steps.lstrip()}z"


def annotated(bits: np.ndarray) -> list[str]:
    """(n, 8192) packed bits -> n outlines."""
    return [outline(unpack_mask(row)) for row in bits]


def truth(packed: Packed, rows: np.ndarray) -> dict[str, list[str]]:
    """Outlines of both annotations of rows of the infection subset."""
    return {"lung": annotated(packed.lung_masks[rows]), "infection": annotated(packed.infection_masks[rows])}


def predicted(found: Predictions, task: str) -> list[str]:
    """Outlines of the masks that are scored (logit > 0 at 256 x 256), in the order of `found.rows`."""
    paths = []
    for block in found.logits(task, BLOCK):
        logits = block if found.px == PX else resized(block, PX)
        paths += [outline(mask) for mask in logits > 0]
    return paths


def heat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """cam.npz -> (n,) rows of the index and (n, h, w) uint8 maps, 255 where Grad-CAM is 1.

    ValueError where rows and maps differ in number or a map is not finite.
    """
    with reading_zip(path), np.load(path) as file:
        rows, maps = file["row"], file["cam"]
    if len(rows) != len(maps) or not np.isfinite(maps).all():
        raise ValueError(f"{path}: {len(maps)} maps for {len(rows)} rows, or nan among them; run `explain` again")
    return rows.astype(np.int64), np.rint(255 * maps.astype(np.float32).clip(0, 1)).astype(np.uint8)
