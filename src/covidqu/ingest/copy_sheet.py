"""The audit's copies as one picture to be looked at: image a, image b moved to its place, and what differs.

Input: the packed data and the table of pairs. Output: a PNG. The weakest pairs come first: they are the doubtful ones.
"""

import cv2
import numpy as np
import pandas as pd

from covidqu.config.data import PX
from covidqu.data.index import Packed
from covidqu.ingest.copies import align, features, flipped, relief, warped

MOST, ACROSS, SIDE, CAPTION_PX = 120, 4, 144, 30
FONT, INK, ACROSS_SPLITS = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255), (0, 200, 255)


def sheet(packed: Packed, pairs: pd.DataFrame) -> bytes:
    """PNG of up to 120 pairs that are no equal pixels, by aligned correlation, the lowest first.

    Captions of pairs across splits are yellow. Contrast is equalised to mean and spread of each image.
    """
    chosen = pairs[~pairs["exact"]].sort_values(["aligned_correlation", "a", "b"]).head(MOST).to_dict("records")
    down = -(-len(chosen) // ACROSS)
    canvas = np.zeros((CAPTION_PX + down * (SIDE + CAPTION_PX), ACROSS * (3 * SIDE + 6), 3), np.uint8)
    words = f"{len(chosen)} of {int((~pairs['exact']).sum())} copies: image a, image b aligned, difference"
    cv2.putText(canvas, words, (6, 20), FONT, 0.5, INK, 1, cv2.LINE_AA)
    for place, pair in enumerate(chosen):
        top = CAPTION_PX + place // ACROSS * (SIDE + CAPTION_PX)
        left = place % ACROSS * (3 * SIDE + 6)
        canvas[top : top + SIDE, left : left + 3 * SIDE] = _strip(packed, pair)[..., None]
        _caption(canvas, pair, left, top + SIDE)
    written, code = cv2.imencode(".png", canvas)
    assert written
    return code.tobytes()


def _caption(canvas: np.ndarray, pair: dict, left: int, top: int) -> None:
    colour = ACROSS_SPLITS if pair["across_splits"] else INK
    names = " = ".join(f"{pair[f'split_{s}']} {pair[f'id_{s}'].split('/')[-1]}" for s in ("a", "b"))
    numbers = f"{pair['aligned_correlation']:.3f}, {pair['inliers']} inliers, thumbnails {pair['correlation']:.3f}"
    numbers += ", mirrored" if pair["mirrored"] else ""
    cv2.putText(canvas, names, (left, top + 11), FONT, 0.36, colour, 1, cv2.LINE_AA)
    cv2.putText(canvas, numbers, (left, top + 24), FONT, 0.36, colour, 1, cv2.LINE_AA)


def _strip(packed: Packed, pair: dict) -> np.ndarray:
    """(SIDE, 3 SIDE) uint8. The pair is aligned again: the table does not keep the map."""
    a, b = packed.images[pair["a"]], flipped(packed.images[pair["b"]], pair["mirrored"])
    alignment = align(features(relief(a)), features(relief(b)))
    matrix = np.array([[1.0, 0, 0], [0, 1, 0]]) if alignment is None else alignment.matrix
    moved, there = warped(b, matrix)
    one, other = (_standard(image, there) for image in (np.asarray(a, np.float32), moved))
    difference = 128 + (one - other) * there
    parts = [one, other * there, difference]
    small = [cv2.resize(part.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for part in parts]
    return np.rint(np.clip(np.hstack(small), 0, 255)).astype(np.uint8)


def _standard(image: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Mean 128 and spread 55 grey levels where both images have pixels."""
    inside = image[there] if there.any() else image.reshape(PX * PX)
    return 128 + (image - inside.mean()) * 55 / max(float(inside.std()), 1.0)
