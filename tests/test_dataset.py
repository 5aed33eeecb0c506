"""Batches: order, geometry, ROI and what is said when something is missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidqu.config.training import BrightnessContrast
from covidqu.data import augment
from covidqu.data.batches import Examples, batches, in_sequence, load_roi, order, split_rows
from covidqu.data.index import open_packed, unpack_mask

WHOLE = np.full((1, 8192), 255, np.uint8)


def examples(packed: Path, px: int = 64, roi: np.ndarray = WHOLE) -> Examples:
    data = open_packed(packed)
    return Examples(data, data.rows("infection"), roi, px)


def test_native_resolution_is_the_packed_bytes(packed: Path) -> None:
    some = examples(packed, px=256)
    batch = some.batch(np.arange(5), None)
    assert np.array_equal(batch.image, some.packed.images[:5])
    assert np.array_equal(batch.lung, unpack_mask(some.packed.lung_masks[:5]))
    assert np.array_equal(batch.infection, unpack_mask(some.packed.infection_masks[:5]))
    assert (batch.label == 2).all()  # COVID-19 comes first in the data set's order


def test_reduced_masks_stay_binary_and_keep_their_area(packed: Path) -> None:
    batch = examples(packed, px=64).batch(np.arange(6), None)
    assert set(np.unique(batch.lung)) == {0, 1}
    full = examples(packed, px=256).batch(np.arange(6), None)
    assert np.allclose(batch.lung.mean((1, 2)), full.lung.mean((1, 2)), atol=0.01)


def test_brightness_never_lights_up_what_the_roi_hides(packed: Path) -> None:
    data = open_packed(packed)
    transform = augment.build([BrightnessContrast(kind="brightness_contrast", limit=0.5, p=1)])
    batch = examples(packed, roi=np.asarray(data.lung_masks[: len(data.infection_masks)])).batch(
        np.arange(8), transform
    )
    assert (batch.image[batch.lung == 0] == 0).all()
    assert (batch.image[batch.lung == 1] > 0).any()


def test_lung_rows_have_empty_infection_and_the_whole_image(packed: Path) -> None:
    data = open_packed(packed)
    batch = Examples(data, data.rows("lung"), WHOLE, 64).batch(np.arange(4), None)
    assert not batch.infection.any()
    assert batch.image.any()


def test_order_is_a_function_of_seed_and_epoch() -> None:
    first = order(103, 8, seed=1, epoch=1)
    assert len(first) == 12, "the short last batch is dropped"
    assert all(np.array_equal(a, b) for a, b in zip(first, order(103, 8, seed=1, epoch=1), strict=True))
    assert not np.array_equal(np.concatenate(first), np.concatenate(order(103, 8, seed=1, epoch=2)))
    assert len(set(np.concatenate(first))) == 96
    assert [len(b) for b in order(5, 8, seed=0, epoch=1)] == [5], "the only batch is kept"


def test_ranks_share_an_epoch_without_overlap() -> None:
    parts = [np.concatenate(order(64, 4, seed=1, epoch=1, rank=r, world=2)) for r in (0, 1)]
    assert sorted(np.concatenate(parts)) == list(range(64))


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_the_thread_ahead_changes_nothing(packed: Path, count: int) -> None:
    some = examples(packed)
    positions = in_sequence(count, 2)
    found = list(batches(some, positions))
    assert [list(b.rows) for b in found] == [list(some.rows[p]) for p in positions]


def test_missing_subset_names_the_one_that_is_there(packed: Path, tmp_path: Path) -> None:
    data = open_packed(packed)
    keep = data.index["subset"] == "infection"
    only = type(data)(
        data.index[keep].reset_index(drop=True), data.images[keep], data.lung_masks[keep], data.infection_masks
    )
    with pytest.raises(ValueError, match=r"no 'lung' subset, only: infection; set `subset: infection`"):
        only.rows("lung")


def test_split_and_roi_of_other_data_are_refused(packed: Path, tmp_path: Path) -> None:
    data = open_packed(packed)
    table = pd.DataFrame({"official": data.index["split"]})
    table.to_parquet(tmp_path / "split.parquet")
    rows = split_rows(data, tmp_path / "split.parquet", "infection", "official")
    assert {k: len(v) for k, v in rows.items()} == {"Train": 12, "Val": 8, "Test": 8}
    table.head(3).to_parquet(tmp_path / "short.parquet")
    with pytest.raises(ValueError, match=r"short\.parquet: 3 rows"):
        split_rows(data, tmp_path / "short.parquet", "infection", "official")
    table.assign(official="Train").to_parquet(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="no images in Val, Test"):
        split_rows(data, tmp_path / "train.parquet", "infection", "official")
    np.save(tmp_path / "roi.npy", np.zeros((3, 8192), np.uint8))
    with pytest.raises(ValueError, match="rerun `roi`"):
        load_roi(tmp_path / "roi.npy", data)
