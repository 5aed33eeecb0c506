"""roi: the masks are the right ones, wrong predictions are refused, the sheet shows the masked images."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from covidqu.data.index import Packed, open_packed, pack_mask, unpack_mask
from covidqu.ingest.roi import contact_sheet, roi, roi_predicted


@pytest.fixture
def data(packed: Path) -> Packed:
    return open_packed(packed)


def written(tmp_path: Path, data: Packed, **changes: object) -> Path:
    """predictions.npz of a run `lung-model`: the left half of every image; None leaves a key out."""
    half = np.zeros((256, 256), bool)
    half[:, :128] = True
    meta = {"run": "lung-model", "data_hash": data.data_hash} | changes.pop("meta", {})
    arrays = {"roi_masks": np.repeat(pack_mask(half)[None], len(data.infection_masks), 0)} | changes
    arrays["meta"] = np.array(json.dumps(meta))
    path = tmp_path / "predictions.npz"
    np.savez_compressed(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_whole(tmp_path: Path, packed: Path) -> None:
    roi("whole", packed, tmp_path / "whole.npy", tmp_path / "whole.png")
    bits = np.load(tmp_path / "whole.npy")
    assert bits.shape == (1, 8192)
    assert unpack_mask(bits).all()


def test_ground_truth(tmp_path: Path, packed: Path, data: Packed) -> None:
    roi("ground-truth", packed, tmp_path / "gt.npy", tmp_path / "gt.png")
    np.testing.assert_array_equal(np.load(tmp_path / "gt.npy"), data.lung_masks[:28])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gt.npy", "gt.png"]
    assert cv2.imread(str(tmp_path / "gt.png")).shape == (1144, 1536, 3)


def test_unknown_source(tmp_path: Path, packed: Path) -> None:
    with pytest.raises(ValueError, match="no annotated source 'lungs'; expected whole or ground-truth"):
        roi("lungs", packed, tmp_path / "x.npy", tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


def test_sheet_hides_what_lies_outside(data: Packed) -> None:
    """The first tile is the first COVID-19 test image inside the ROI; caption and title take 40 rows above it."""
    row = int(np.flatnonzero((data.index["split"] == "Test") & (data.index["subset"] == "infection"))[0])
    half = np.zeros((28, 256, 256), bool)
    half[:, :, :128] = True
    sheet = contact_sheet("half", data, pack_mask(half))
    tile = sheet[40 : 40 + 256, :256]
    drawn = (tile.max(-1) != tile.min(-1)) | (tile == 0).all(-1)
    assert (tile[:, 128:][~drawn[:, 128:]] == 0).all()
    np.testing.assert_array_equal(tile[:, :128][~drawn[:, :128]][:, 0], data.images[row][:, :128][~drawn[:, :128]])
    whole = contact_sheet("whole", data, np.full((1, 8192), 255, np.uint8))[40 : 40 + 256, :256]
    grey = whole.max(-1) == whole.min(-1)
    np.testing.assert_array_equal(whole[grey][:, 0], data.images[row][grey])
    assert 0 < (~grey).sum() < 5000, "outlines are drawn, and are thin"


def test_predicted(tmp_path: Path, packed: Path, data: Packed) -> None:
    path = written(tmp_path, data)
    roi_predicted("lung-model", packed, path, tmp_path / "p.npy", tmp_path / "p.png")
    masks = unpack_mask(np.load(tmp_path / "p.npy"))
    assert masks.shape == (28, 256, 256)
    assert masks[:, :, :128].all()
    assert not masks[:, :, 128:].any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"roi_masks": None}, "holds no roi_masks; list 'lung-model' under roi.predicted"),
        (
            {"roi_masks": np.zeros((27, 8192), np.uint8)},
            r"roi_masks are uint8 \(27, 8192\), expected uint8 \(28, 8192\)",
        ),
        ({"roi_masks": np.zeros((28, 8192), np.float32)}, "roi_masks are float32"),
        ({"meta": {"data_hash": "0" * 64}}, "data_hash is 000"),
        ({"meta": {"run": "other"}}, "run is other, expected lung-model"),
    ],
)
def test_wrong_predictions(tmp_path: Path, packed: Path, data: Packed, changes: dict, words: str) -> None:
    path = written(tmp_path, data, **changes)
    with pytest.raises(ValueError, match=words):
        roi_predicted("lung-model", packed, path, tmp_path / "p.npy", tmp_path / "p.png")
    assert [p.name for p in tmp_path.iterdir()] == ["predictions.npz"]


def test_no_predictions(tmp_path: Path, packed: Path) -> None:
    with pytest.raises(ValueError, match="run `predict lung-model`"):
        roi_predicted("lung-model", packed, tmp_path / "none.npz", tmp_path / "p.npy", tmp_path / "p.png")
