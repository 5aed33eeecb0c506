"""What each filter removes and what it keeps, on images of which the answer is known."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from covidqu.config.training import Median, Opening
from covidqu.data import filters

MEDIAN, OPENING = Median(kind="median", px=3), Opening(kind="opening", px=3)


def dots(background: int, dot: int) -> np.ndarray:
    """A bright square of 12 px a side and single pixels far from it and from each other."""
    image = np.full((32, 32), background, np.uint8)
    image[10:22, 10:22] = 200
    image[3, 3] = image[28, 5] = image[5, 27] = dot
    return image


def test_median_is_the_middle_of_nine() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    out = filters.apply([MEDIAN], image)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3))
    assert np.array_equal(out[1:-1, 1:-1], np.median(windows, axis=(2, 3)).astype(np.uint8))


def test_opening_takes_bright_dots_and_leaves_dark_ones() -> None:
    clean = dots(90, 90)
    clean[[10, 10, 21, 21], [10, 21, 10, 21]] = 90  # no cross reaches the corners of the square
    assert np.array_equal(filters.apply([OPENING], dots(90, 255)), clean)
    assert filters.apply([OPENING], dots(90, 0))[3, 3] == 0


def test_opening_is_a_minimum_and_then_a_maximum_over_a_cross() -> None:
    image = np.random.default_rng(1).integers(0, 256, (32, 32), np.uint8)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)  # the 3 x 3 ellipse

    def over(array: np.ndarray, how: str) -> np.ndarray:
        return getattr(np.lib.stride_tricks.sliding_window_view(array, (3, 3))[:, :, cross], how)(axis=2)

    assert np.array_equal(filters.apply([OPENING], image)[2:-2, 2:-2], over(over(image, "min"), "max"))


def test_order_is_as_listed_and_the_input_survives() -> None:
    image = np.random.default_rng(2).integers(0, 256, (32, 32), np.uint8)
    before = image.copy()
    both = filters.apply([MEDIAN, OPENING], image)
    assert np.array_equal(both, filters.apply([OPENING], filters.apply([MEDIAN], image)))
    assert not np.array_equal(both, filters.apply([OPENING, MEDIAN], image))
    assert np.array_equal(image, before)
    assert (both.dtype, both.shape) == (np.uint8, image.shape)
    assert np.array_equal(filters.apply([], image), image)


def test_a_read_only_memory_map_will_do(tmp_path: Path) -> None:
    images = np.random.default_rng(3).integers(0, 256, (2, 32, 32), np.uint8)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for step in (MEDIAN, OPENING):
        assert np.array_equal(filters.apply([step], np.asarray(mapped[1])), filters.apply([step], images[1]))


def test_size_matters() -> None:
    image = np.zeros((32, 32), np.uint8)
    image[10:14, 10:14] = 255
    assert filters.apply([OPENING], image).any()
    assert not filters.apply([Opening(kind="opening", px=7)], image).any()


def test_even_median_is_refused() -> None:
    with pytest.raises(ValidationError):
        Median(kind="median", px=4)
