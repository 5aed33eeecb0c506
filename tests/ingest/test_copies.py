"""copies: what a person takes for the same radiograph is found, and what is another one is not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from covidqu.config.data import PX, Copies, Phantom
from covidqu.config.params import load
from covidqu.data.index import Packed, open_packed, pack_mask, unpack_mask
from covidqu.ingest import copies as copies_module
from covidqu.ingest.copies import align, candidates, features, find_copies, relief, thumbnails
from covidqu.ingest.pairs import find_pairs, groups
from support.places import ROOT

COPIES = load([ROOT / "params.yaml"]).audit.copies
CENTRE = (PX / 2 - 0.5, PX / 2 - 0.5)


def cropped(share_left: float, share_top: float, share_right: float, share_bottom: float) -> np.ndarray:
    """The map of a crop that is stretched to the whole image again, as the data set's images were."""
    left, top = share_left * PX, share_top * PX
    x, y = 1 / (1 - share_left - share_right), 1 / (1 - share_top - share_bottom)
    return np.array([[x, 0, -left * x], [0, y, -top * y]])


MAPS = {
    "crop of 2 % at every side": cropped(0.02, 0.02, 0.02, 0.02),
    "crop of 5 % at every side": cropped(0.05, 0.05, 0.05, 0.05),
    "crop of 5 % at two sides": cropped(0.05, 0, 0, 0.05),
    "shift": np.array([[1.0, 0, 9], [0, 1, -6]]),
    "turn of 4 degrees": cv2.getRotationMatrix2D(CENTRE, 4, 1),
}
CONTRASTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gamma": lambda image: np.rint(255 * (image / 255) ** 0.6).astype(np.uint8),
    "equalised": lambda image: cv2.createCLAHE(2.0, (4, 4)).apply(image),
    "compressed": lambda image: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 0),
}


def moved(image: np.ndarray, matrix: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    return cv2.warpAffine(image, matrix, (PX, PX), flags=how)


@pytest.fixture(scope="module")
def originals(packed: Path) -> Packed:
    """The phantom's distinct images of the infection subset."""
    data = open_packed(packed)
    rows = np.flatnonzero((data.index["subset"] == "infection") & ~data.index["image_sha256"].duplicated())
    index = data.index.iloc[rows].reset_index(drop=True)
    return Packed(index, data.images[rows], data.lung_masks[rows], data.infection_masks[rows])


def with_copies(data: Packed, made: list[np.ndarray], masks: list[np.ndarray] | None = None) -> Packed:
    """The images and after them one copy of each of the first."""
    n, number = len(data.images), len(made)
    index = pd.concat([data.index, data.index.iloc[:number]], ignore_index=True)
    index.loc[n:, "image_sha256"] = [f"copy {i}" for i in range(number)]
    lungs = data.lung_masks[:number] if masks is None else np.stack([pack_mask(mask) for mask in masks])
    return Packed(
        index,
        np.concatenate([data.images, np.stack(made)]),
        np.concatenate([data.lung_masks, lungs]),
        np.concatenate([data.infection_masks, data.infection_masks[:number]]),
    )


def found_in(data: Packed, threads: int = 1) -> pd.DataFrame:
    return find_copies(data, np.arange(len(data.images)), COPIES, threads)


def known(data: Packed) -> set[tuple[int, int]]:
    """Pairs that the phantom itself holds."""
    return set(found_in(data)[["a", "b"]].itertuples(index=False, name=None))


def test_different_images_are_no_copies(originals: Packed, phantom_config: Phantom) -> None:
    """Only the two near-duplicates that the phantom plants, among 25 cases of one drawing."""
    assert len(originals.images) > 20
    found = found_in(originals)
    ids = originals.index["id"].to_numpy(dtype=object)
    from covidqu.ingest.sources.phantom import planted

    wanted = {frozenset(pair) for pair in planted(phantom_config)["near"]}
    assert {frozenset((ids[a], ids[b])) for a, b in zip(found["a"], found["b"], strict=True)} == wanted


@pytest.mark.parametrize("mirror", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("name", MAPS)
def test_moved_copies_are_found(originals: Packed, name: str, mirror: bool) -> None:
    number, inverse = 8, cv2.invertAffineTransform(MAPS[name])
    images = [moved(image, MAPS[name]) for image in originals.images[:number]]
    masks = [moved(m.astype(np.uint8), MAPS[name], cv2.INTER_NEAREST) > 0 for m in unpack_mask(originals.lung_masks)]
    if mirror:
        images, masks = ([np.ascontiguousarray(x[:, ::-1]) for x in some] for some in (images, masks))
    data = with_copies(originals, images, masks[:number])
    found = found_in(data)
    new = found[found["b"] == found["a"] + len(originals.images)]
    # the phantom's cases resemble each other and their mirror images: of mirrored copies some are no candidates
    assert number * (0.7 if mirror else 1) <= len(new) <= number, "copies are found"
    others = set(found[["a", "b"]].itertuples(index=False, name=None)) - set(
        new[["a", "b"]].itertuples(index=False, name=None)
    )
    base = known(originals)
    n = len(originals.images)
    assert {(a, b) for a, b in others if b < n} == base
    assert all({a, b - n} in [set(p) for p in base] for a, b in others if a < n <= b), "or of what it copies"
    assert (new["mirrored"] == mirror).all()
    assert new["scale"].to_numpy() == pytest.approx(np.sqrt(np.linalg.det(inverse[:, :2])), abs=0.02)
    shift = np.linalg.norm(inverse @ [*CENTRE, 1] - CENTRE)
    assert new["shift_px"].to_numpy() == pytest.approx(shift, abs=2)
    assert new["lung_dice"].min() > 0.97, "annotations are compared after the same alignment"
    assert (
        new["infection_dice"].notna().equals(pd.Series(data.index["infection_px"].to_numpy()[new["a"]] > 0, new.index))
    )


@pytest.mark.parametrize("name", CONTRASTS)
def test_copies_of_other_contrast_are_found(originals: Packed, name: str) -> None:
    data = with_copies(
        originals, [CONTRASTS[name](moved(x, MAPS["crop of 2 % at every side"])) for x in originals.images[:8]]
    )
    found = found_in(data)
    assert (found["b"] == found["a"] + len(originals.images)).sum() >= (6 if name == "equalised" else 8)


def test_threads_and_blocks_change_nothing(originals: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    data = with_copies(originals, [moved(x, MAPS["turn of 4 degrees"]) for x in originals.images[:8]])
    one = found_in(data)
    assert len(one) >= 10
    monkeypatch.setattr(copies_module, "BLOCK", 5)
    pd.testing.assert_frame_equal(found_in(data, threads=3), one)
    threads = cv2.getNumThreads()
    found_in(data)
    assert cv2.getNumThreads() == threads, "OpenCV's own setting is given back"


def test_uniform_images_have_no_copies() -> None:
    images = np.stack([np.full((PX, PX), grey, np.uint8) for grey in (7, 9, 200)])
    assert not thumbnails(images).any()
    assert candidates(thumbnails(images), thumbnails(images, 0.03), COPIES).empty
    blank = features(relief(images[0]))
    assert len(blank[0]) == 0 and align(blank, blank) is None
    index = pd.DataFrame({"id": ["x", "y", "z"], "subset": "infection", "split": "Train", "label": "Normal"})
    none = np.zeros((3, PX * PX // 8), np.uint8)
    found = find_pairs(Packed(index.assign(image_sha256=list("aab")), images, none, none), COPIES)
    assert found[["a", "b"]].to_numpy().tolist() == [[0, 1]]
    assert found["exact"].tolist() == [True]
    assert found["lung_dice"].isna().all() and found["infection_dice"].isna().all()


def test_one_image_alone(originals: Packed) -> None:
    assert find_copies(originals, np.arange(1), COPIES, 1).empty


def test_thumbnails_ignore_brightness_and_contrast() -> None:
    image = np.random.default_rng(1).integers(50, 100, (PX, PX), np.uint8)
    a, b = thumbnails(np.stack([image, image * np.uint8(2) + np.uint8(30)]))
    assert float(a @ b) == pytest.approx(1, abs=1e-5)


def test_a_copy_holds_for_all_images_with_the_same_pixels(originals: Packed) -> None:
    """Row 0 twice, its crop once: three pairs, of which one is of equal pixels."""
    crop = moved(originals.images[0], MAPS["crop of 5 % at every side"])
    data = with_copies(originals, [originals.images[0], crop])
    n = len(originals.images)
    data.index.loc[n, "image_sha256"] = data.index.loc[0, "image_sha256"]
    found = find_pairs(data, COPIES)
    rows = found[found["a"].isin([0, n]) & found["b"].isin([n, n + 1])]
    assert rows[["a", "b", "exact"]].to_numpy().tolist() == [[0, n, True], [0, n + 1, False], [n, n + 1, False]]
    assert rows["inliers"].isna().tolist() == [True, False, False]


def test_groups_are_chains_of_pairs() -> None:
    found = groups(np.array([0, 1, 4]), np.array([1, 2, 5]), 6)
    assert found[0] == found[1] == found[2] != found[4] == found[5]
    assert len(set(found)) == 3


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="inliers"):
        Copies(nearest=1, candidate_correlation=0.5, inliers=2, aligned_correlation=0.5)
