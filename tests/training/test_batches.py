"""Examples and batches: pixels, geometry, ROI, order, draws, and what is said when something is missing or altered."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidqu.config.params import load
from covidqu.config.training import BrightnessContrast, Median
from covidqu.data import filters
from covidqu.data.augment import Augmenter
from covidqu.data.batches import Batch, Batches, Loader, in_sequence, shuffled
from covidqu.data.examples import Examples, examples, load_roi, resized, split_rows
from covidqu.data.index import open_packed, unpack_mask
from support.places import ROOT

WHOLE = np.full((1, 8192), 255, np.uint8)


def infection(packed: Path, px: int = 64, roi: np.ndarray = WHOLE) -> Examples:
    data = open_packed(packed)
    return examples(data, data.rows("infection"), roi, px)


def batch_of(some: Examples, positions: np.ndarray, augmenter: Augmenter | None = None, epoch: int = 1) -> Batch:
    return Batches(some, augmenter)[epoch, positions]


def differing(one: Batch, other: Batch) -> float:
    """Share of images that differ."""
    return (one.image != other.image).flatten(1).any(1).float().mean().item()


def paper_001() -> Augmenter:
    return Augmenter(load([ROOT / "params.yaml"]).run("unetpp-b3").augment, 64, seed=3)


def test_native_resolution_is_the_packed_bytes(packed: Path) -> None:
    data, batch = open_packed(packed), batch_of(infection(packed, px=256), np.arange(5))
    assert np.array_equal(batch.image, data.images[:5]) and np.array_equal(batch.seen(), data.images[:5])
    assert np.array_equal(batch.target("lung"), unpack_mask(data.lung_masks[:5]))
    assert np.array_equal(batch.target("infection"), unpack_mask(data.infection_masks[:5]))
    assert (batch.label == 2).all()  # COVID-19 comes first in the data set's order


def test_filters_and_sizes_are_those_of_the_image_alone(packed: Path) -> None:
    data, steps = open_packed(packed), (Median(kind="median", px=3),)
    some = examples(data, np.array([3, 1]), WHOLE, 48, steps)
    for position, row in enumerate((3, 1)):
        assert np.array_equal(some.image(position), resized(filters.apply(list(steps), data.images[row]), 48))


def test_reduced_masks_stay_binary_and_keep_their_area(packed: Path) -> None:
    small, full = (batch_of(infection(packed, px), np.arange(6)).target("lung").numpy() for px in (64, 256))
    assert set(np.unique(small)) == {0, 1}
    assert np.allclose(small.mean((1, 2)), full.mean((1, 2)), atol=0.01)


def test_brightness_never_lights_up_what_the_roi_hides(packed: Path) -> None:
    data = open_packed(packed)
    bright = Augmenter([BrightnessContrast(kind="brightness_contrast", limit=0.5, p=1)], 64)
    roi = np.asarray(data.lung_masks[: len(data.infection_masks)])
    batch = batch_of(infection(packed, roi=roi), np.arange(8), bright)
    outside = batch.target("lung") == 0
    assert (batch.seen()[outside] == 0).all() and (batch.image[outside] > 0).any()
    assert (batch.seen()[~outside] > 0).any()


def test_lung_rows_have_empty_infection_and_the_whole_image(packed: Path) -> None:
    data = open_packed(packed)
    batch = batch_of(examples(data, data.rows("lung"), WHOLE, 64), np.arange(4))
    assert not batch.target("infection").any()
    assert batch.seen().any()


def test_altered_pixels_and_masks_are_refused(packed: Path, tmp_path: Path) -> None:
    """A result would bear the hash of the right data: today's training on inverted images did."""
    for name in ("images.npy", "lung_masks.npy", "infection_masks.npy"):
        folder = tmp_path / name
        shutil.copytree(packed, folder)
        array = np.load(folder / name, mmap_mode="r+")
        array[2] = 255 - array[2]
        array.flush()
        with pytest.raises(ValueError, match=rf"{name}: pixels or masks of 1 images .*infection/Train/COVID-19"):
            infection(folder)
    table = pd.read_parquet(packed / "index.parquet")
    shutil.copytree(packed, tmp_path / "other")
    table.assign(label=table["label"].replace("Normal", "Non-COVID")).to_parquet(tmp_path / "other/index.parquet")
    assert open_packed(tmp_path / "other").data_hash != open_packed(packed).data_hash


def test_order_is_a_function_of_seed_and_epoch() -> None:
    first = shuffled(103, 8, seed=1, epoch=1)
    assert len(first) == 12, "the short last batch is dropped"
    assert all(np.array_equal(a, b) for a, b in zip(first, shuffled(103, 8, seed=1, epoch=1), strict=True))
    assert not np.array_equal(np.concatenate(first), np.concatenate(shuffled(103, 8, seed=1, epoch=2)))
    assert len(set(np.concatenate(first))) == 96
    assert [len(b) for b in shuffled(5, 8, seed=0, epoch=1)] == [5], "the only batch is kept"


def test_ranks_share_an_epoch_without_overlap() -> None:
    parts = [np.concatenate(shuffled(64, 4, seed=1, epoch=1, rank=r, world=2)) for r in (0, 1)]
    assert sorted(np.concatenate(parts)) == list(range(64))


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("count", [16, 61, 103])
def test_each_step_of_two_ranks_is_that_of_one_process(count: int, balanced: bool) -> None:
    classes = np.arange(count) % 3 if balanced else None
    one = shuffled(count, 8, seed=1, epoch=2, classes=classes)
    two = [shuffled(count, 4, 1, 2, rank, 2, classes) for rank in (0, 1)]
    together = [np.stack(parts, 1).ravel() for parts in zip(*two, strict=True)]
    assert [list(step) for step in together] == [list(step) for step in one]


def test_a_draw_is_a_function_of_seed_epoch_and_image(packed: Path) -> None:
    """Whatever the order, the batch, and what was drawn before."""
    some, rng = infection(packed), np.random.default_rng(0)
    whole = batch_of(some, np.arange(len(some)), paper_001())
    shuffle = rng.permutation(len(some))
    again = batch_of(some, shuffle, paper_001())
    for part in ("image", "masks"):
        assert np.array_equal(getattr(whole, part)[shuffle], getattr(again, part))
        alone = [getattr(batch_of(some, np.array([p]), paper_001()), part)[0] for p in (5, 2)]
        assert all(np.array_equal(a, getattr(whole, part)[p]) for a, p in zip(alone, (5, 2), strict=True))
    other = batch_of(some, np.arange(len(some)), paper_001(), epoch=2)
    assert differing(whole, other) > 0.9, "but for an image that is left as it is both times"
    augmenter = paper_001()
    augmenter.seed = 4
    assert differing(whole, batch_of(some, np.arange(len(some)), augmenter)) > 0.9


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_the_thread_ahead_changes_nothing(packed: Path, count: int) -> None:
    some = infection(packed)
    order = in_sequence(count, 2)
    found = list(Loader(Batches(some))(order))
    assert [b.rows.tolist() for b in found] == [list(some.rows[p]) for p in order]


def test_worker_processes_give_the_same_batches_epoch_after_epoch(packed: Path) -> None:
    some = infection(packed)
    alone, three = Loader(Batches(some, paper_001())), Loader(Batches(some, paper_001()), workers=3)
    for epoch in (1, 2):
        order = shuffled(len(some), 5, 0, epoch)
        for one, other in zip(alone(order, epoch), three(order, epoch), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_ranks_together_see_what_one_process_sees(packed: Path) -> None:
    some = infection(packed)
    whole = batch_of(some, np.arange(len(some)), paper_001())
    for rank in (0, 1):
        for positions in shuffled(len(some), 4, 0, 1, rank, 2):
            assert np.array_equal(batch_of(some, positions, paper_001()).image, whole.image[positions])


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
