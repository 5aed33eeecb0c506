"""Copies of a radiograph that a person sees at once: cropped, shifted, mirrored, turned a little, of other contrast.

Input: the distinct images of the packed data. Output: one row per verified pair. Candidates are the nearest by
thumbnails without their coarse shading, also mirrored and cropped; a candidate is verified by ORB features (Rublee et
al. 2011), an affine map that RANSAC fits to their matches, and the correlation of their parts after this alignment.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import pandas as pd

from covidqu.config.data import PX, Copies
from covidqu.data.index import Packed, unpack_mask

THUMBNAIL_PX = 32
COARSE = 3.0  # sigma in pixels of a thumbnail: shading wider than this is left out of the search
CROPPED = 0.03  # of every side, for one more search: covers crops of 2 to 5 %
BLOCK = 512  # images compared with all others at once: 80 MB of correlations for 40,000 images
FEATURES, RATIO, REACH_PX, ROUNDS = 400, 0.8, 3.0, 500  # ORB points, Lowe's ratio, RANSAC's tolerance and draws
GLANCE, FEWEST = 150, 12  # strongest points compared first; matches below which a candidate is given up
LARGEST_SCALE, LARGEST_STRETCH, LARGEST_TURN = 1.5, 1.5, 20.0  # beyond: no copy but chance; the last in degrees
TILE_PX, SMOOTH, SMALLEST_SPREAD, FEWEST_TILES = 32, 1.5, 3.0, 16  # of the correlation after alignment; grey levels
MEASURES = (
    "aligned_correlation", "inliers", "scale", "shift_px", "lung_dice", "infection_dice",
)  # fmt: skip
Features = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Alignment:
    """`matrix` (2, 3) takes pixels of image b (mirrored where asked) to image a; `inliers` matches agree with it."""

    matrix: np.ndarray
    inliers: int


def find_copies(packed: Packed, rows: np.ndarray, config: Copies, threads: int) -> pd.DataFrame:
    """Verified pairs among the images `rows`: a < b (row numbers), correlation, mirrored and `MEASURES`.

    `correlation` is that of the thumbnails, `aligned_correlation` that of parts after alignment (`tile_correlation`),
    `scale` and `shift_px` what takes b to a (shift of the centre, in pixels), the Dice values compare the annotations
    after the same alignment (NaN where one of the masks is empty or not there). The result does not depend on
    `threads`. Features of all images are held in memory: 16 kB each, mirrored
    ones, too.
    """
    thumbs = thumbnails(packed.images[rows])
    found = candidates(thumbs, thumbnails(packed.images[rows], CROPPED), config)
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # threads work on images, not inside one
    try:
        with ThreadPoolExecutor(threads) as pool:
            known = list(pool.map(lambda row: features(relief(packed.images[row])), rows))
            turned = found.loc[found["mirrored"], "b"].unique()
            other = pool.map(lambda place: features(relief(flipped(packed.images[rows[place]], True))), turned)
            check = partial(_verified, packed, rows, known, dict(zip(turned, other, strict=True)), config)
            measured = list(pool.map(check, found.itertuples(index=False, name=None)))
    finally:
        cv2.setNumThreads(before)
    kept = [place for place, values in enumerate(measured) if values is not None]
    table = found.iloc[kept].reset_index(drop=True)
    table[list(MEASURES)] = np.array([measured[place] for place in kept], np.float64).reshape(-1, len(MEASURES))
    b = np.where(table["mirrored"].to_numpy()[:, None], mirrored(thumbs[table["b"]]), thumbs[table["b"]])
    table.insert(2, "correlation", (thumbs[table["a"]] * b).sum(1).astype(np.float64).round(6))
    table["a"], table["b"] = rows[table["a"]], rows[table["b"]]
    # a pair found plain and mirrored is the better of the two
    table = table.sort_values("aligned_correlation", ascending=False, kind="stable").drop_duplicates(["a", "b"])
    return table.sort_values(["a", "b"], ignore_index=True)


def thumbnails(images: np.ndarray, cropped: float = 0.0) -> np.ndarray:
    """(N, 256, 256) uint8 -> (N, 1024) float32, mean-free, unit norm; zeros for a uniform image.

    The area average of 32 x 32 parts, so that a product is a correlation, blind to brightness and contrast; without
    the share `cropped` at every side.
    """
    out, edge = np.empty((len(images), THUMBNAIL_PX**2), np.float32), round(cropped * PX)
    for row, image in enumerate(images):
        inner = np.asarray(image[edge : PX - edge, edge : PX - edge], np.float32)
        out[row] = cv2.resize(inner, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA).ravel()
    return _unit(out)


def mirrored(thumbs: np.ndarray) -> np.ndarray:
    """(N, 1024) thumbnails, left and right exchanged."""
    return np.ascontiguousarray(thumbs.reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX)[:, :, ::-1]).reshape(thumbs.shape)


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(norm > 1e-3, rows / np.maximum(norm, 1e-3), 0).astype(np.float32)


def _without_shading(thumbs: np.ndarray) -> np.ndarray:
    flat = [t - cv2.GaussianBlur(t, (0, 0), COARSE) for t in thumbs.reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX)]
    return _unit(np.array(flat, np.float32).reshape(thumbs.shape))


def candidates(thumbs: np.ndarray, cropped: np.ndarray, config: Copies) -> pd.DataFrame:
    """(N, 1024) thumbnails, whole and cropped -> rows a < b, mirrored: the nearest of each image in three searches."""
    plain = _without_shading(thumbs)
    searches = ((plain, False), (_without_shading(cropped), False), (mirrored(plain), True))
    found = []
    for asking, flip in searches:
        a, b = _nearest(asking, plain, config.nearest, config.candidate_correlation)
        found.append(pd.DataFrame({"a": np.minimum(a, b), "b": np.maximum(a, b), "mirrored": flip}))
    return pd.concat(found).drop_duplicates().sort_values(["a", "b", "mirrored"], ignore_index=True)


def _nearest(asking: np.ndarray, asked: np.ndarray, most: int, above: float) -> tuple[np.ndarray, np.ndarray]:
    """Of each row of `asking` the `most` nearest other rows of `asked` with a product above `above`."""
    count, sides = min(most, len(asked) - 1), [np.empty((2, 0), np.int64)]
    for top in range(0, len(asking) if count else 0, BLOCK):
        product = asking[top : top + BLOCK] @ asked.T
        product[np.arange(len(product)), np.arange(top, top + len(product))] = -2  # not itself
        best = np.argpartition(-product, count - 1, axis=1)[:, :count]
        enough = np.take_along_axis(product, best, axis=1) > above
        sides.append(np.stack([top + np.nonzero(enough)[0], best[enough]]))
    a, b = np.concatenate(sides, axis=1)
    return a, b


def relief(image: np.ndarray) -> np.ndarray:
    """(256, 256) uint8 -> uint8: differences from the surroundings in units of their spread, 128 for none."""
    smooth = cv2.GaussianBlur(np.asarray(image, np.float32), (0, 0), 1)
    detail = smooth - cv2.blur(smooth, (33, 33))
    spread = np.sqrt(np.maximum(cv2.blur(detail * detail, (65, 65)), 0))
    return np.clip(detail / (spread + 2) * 40 + 128, 0, 255).astype(np.uint8)


_own = threading.local()  # OpenCV's detectors are not to be shared by threads


def features(picture: np.ndarray) -> Features:
    """(256, 256) uint8 -> points (n, 2) float32 in pixels, ORB descriptors (n, 32) uint8; n <= 400, strongest first."""
    if not hasattr(_own, "orb"):
        _own.orb = cv2.ORB.create(FEATURES, scaleFactor=1.3, nlevels=3, fastThreshold=10, edgeThreshold=16)
    points, descriptors = _own.orb.detectAndCompute(picture, None)
    if descriptors is None:
        return np.empty((0, 2), np.float32), np.empty((0, 32), np.uint8)
    order = np.argsort([-point.response for point in points], kind="stable")
    return np.array([point.pt for point in points], np.float32)[order], descriptors[order]


def align(a: Features, b: Features) -> Alignment | None:
    """The affine map of b's points to a's that most matches agree with; None without a plausible one."""
    if len(_matches(a[1][:GLANCE], b[1][:GLANCE])) < FEWEST:
        return None
    good = _matches(a[1], b[1])
    start, end = b[0][[m.queryIdx for m in good]], a[0][[m.trainIdx for m in good]]
    # OpenCV draws from a generator that it seeds itself, the same in every call
    matrix, agree = cv2.estimateAffine2D(start, end, ransacReprojThreshold=REACH_PX, maxIters=ROUNDS)
    if matrix is None or not _plausible(matrix):
        return None
    return Alignment(matrix, int(agree.sum()))


def _matches(a: np.ndarray, b: np.ndarray) -> list[cv2.DMatch]:
    """From b's descriptors to a's, where the nearest is much nearer than the second."""
    if len(a) < 2 or len(b) == 0:
        return []
    found = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(b, a, k=2)
    return [first for first, second in found if first.distance < RATIO * second.distance]


def _plausible(matrix: np.ndarray) -> bool:
    linear = matrix[:, :2]
    if np.linalg.det(linear) <= 0:
        return False
    large, small = np.linalg.svd(linear, compute_uv=False)
    turn = abs(np.degrees(np.arctan2(linear[1, 0] - linear[0, 1], linear[0, 0] + linear[1, 1])))
    scale = np.sqrt(large * small)
    return bool(1 / LARGEST_SCALE < scale < LARGEST_SCALE and large < LARGEST_STRETCH * small and turn < LARGEST_TURN)


def warped(image: np.ndarray, matrix: np.ndarray, how: int = cv2.INTER_LINEAR) -> tuple[np.ndarray, np.ndarray]:
    """Image b on a's pixels, float32, and (256, 256) bool where b has pixels."""
    there = cv2.warpAffine(np.ones((PX, PX), np.float32), matrix, (PX, PX)) > 0.999
    return cv2.warpAffine(np.asarray(image, np.float32), matrix, (PX, PX), flags=how), there


def tile_correlation(a: np.ndarray, b: np.ndarray, there: np.ndarray) -> float:
    """Median correlation of the 32 x 32 tiles of two aligned images; 0 with fewer than 16 tiles that show anything.

    Tiles make it blind to shading and to changes of contrast from place to place, the median to labels and arrows that
    one of the two images has. Ribs, vessels and diaphragm of another radiograph of the patient lie elsewhere.
    """
    inside = cv2.resize(there.astype(np.float32), (PX // TILE_PX, PX // TILE_PX), interpolation=cv2.INTER_AREA) > 0.999
    x, y = (_tiles(image)[inside] for image in (a, b))
    spread = x.std(axis=1), y.std(axis=1)
    shown = (spread[0] > SMALLEST_SPREAD) & (spread[1] > SMALLEST_SPREAD)
    if shown.sum() < FEWEST_TILES:
        return 0.0
    return float(np.median((x * y).mean(axis=1)[shown] / (spread[0] * spread[1])[shown]))


def _tiles(image: np.ndarray) -> np.ndarray:
    """(256, 256) -> (8, 8, 1024), each tile mean-free."""
    smooth = cv2.GaussianBlur(np.asarray(image, np.float32), (0, 0), SMOOTH)
    side = PX // TILE_PX
    tiles = smooth.reshape(side, TILE_PX, side, TILE_PX).transpose(0, 2, 1, 3).reshape(side, side, TILE_PX**2)
    return tiles - tiles.mean(axis=2, keepdims=True)


def flipped(image: np.ndarray, flip: bool) -> np.ndarray:
    """The image, left and right exchanged where asked."""
    return np.ascontiguousarray(image[:, ::-1]) if flip else np.asarray(image)


def _verified(
    packed: Packed,
    rows: np.ndarray,
    known: list[Features],
    turned: dict[int, Features],
    config: Copies,
    pair: tuple[int, int, bool],
) -> tuple[float, ...] | None:
    """`MEASURES` of a candidate (places in `rows`); None where it is no copy."""
    first, second, flip = pair
    a, b = int(rows[first]), int(rows[second])
    alignment = align(known[first], turned[second] if flip else known[second])
    if alignment is None or alignment.inliers < config.inliers:
        return None
    moved, there = warped(flipped(packed.images[b], flip), alignment.matrix)
    correlation = round(tile_correlation(packed.images[a], moved, there), 6)
    if correlation < config.aligned_correlation:
        return None
    centre = np.array([PX / 2 - 0.5, PX / 2 - 0.5, 1])
    shift = float(np.linalg.norm(alignment.matrix @ centre - centre[:2]))
    scale = float(np.sqrt(np.linalg.det(alignment.matrix[:, :2])))
    dice = agreement(packed, a, b, flip, alignment.matrix)
    return correlation, alignment.inliers, round(scale, 4), round(shift, 2), *dice


def agreement(packed: Packed, a: int, b: int, flip: bool, matrix: np.ndarray) -> tuple[float, float]:
    """Dice of the lung masks and of the infection masks of two rows, b's moved to a's place, where both have pixels.

    NaN where one of the masks is empty, or the lung subset has none.
    """
    return _dice(packed.lung_masks, a, b, flip, matrix), _dice(packed.infection_masks, a, b, flip, matrix)


def _dice(bits: np.ndarray, a: int, b: int, flip: bool, matrix: np.ndarray) -> float:
    if max(a, b) >= len(bits):
        return float("nan")
    one, other = (unpack_mask(np.asarray(bits[row])) for row in (a, b))
    if not one.any() or not other.any():
        return float("nan")
    moved, there = warped(flipped(other, flip), matrix, cv2.INTER_NEAREST)
    one, moved = one & there, (moved > 0.5) & there
    return round(float(2 * (one & moved).sum() / max(int(one.sum() + moved.sum()), 1)), 6)
