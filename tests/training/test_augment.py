"""What was asked for is what albumentations does: the library drops unknown arguments with no more than a warning."""

import os
import subprocess
import sys
import warnings

import albumentations as A
import numpy as np
import pytest

from covidqu.config.params import load
from covidqu.config.training import Affine, BrightnessContrast, GaussNoise, HorizontalFlip, Rotate90
from covidqu.data.augment import Affine2D, Augmenter, GreyNoise, QuarterTurn
from support.places import ROOT

GREY = np.full((64, 64), 128, np.uint8)


@pytest.mark.parametrize("run", ["unet-roi-lung", "unetpp-b3", "cbam-mtl-unet-proposed"])
def test_papers_settings_reach_the_library(run: str) -> None:
    steps = load([ROOT / "params.yaml"]).run(run).augment
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = Augmenter(steps).transform.transforms
    for step, transform in zip(steps, built, strict=True):
        assert transform.p == step.p
        match step:
            case Affine():
                assert transform.translate_percent == {"x": (-step.shift, step.shift), "y": (-step.shift, step.shift)}
                assert transform.scale == {a: pytest.approx((1 - step.scale, 1 + step.scale)) for a in "xy"}
                assert transform.rotate == (-step.rotate_deg, step.rotate_deg)
                assert transform.shear == {a: (-step.shear_deg, step.shear_deg) for a in "xy"}
                assert (transform.mask_interpolation, transform.border_mode, transform.fill) == (0, 0, 0)
            case BrightnessContrast():
                assert transform.brightness_limit == transform.contrast_limit == (-step.limit, step.limit)
            case Rotate90():
                assert isinstance(transform, QuarterTurn)
            case GaussNoise():
                assert transform.std_range == step.std_range


def test_noise_is_the_papers_variance_5_to_15() -> None:
    augmenter = Augmenter([GaussNoise(kind="gauss_noise", std_range=(0.00877, 0.01519), p=1)], 64)
    noisy = [augmenter(GREY, GREY, 1, row)[0].astype(float) for row in range(200)]
    assert abs(np.mean(noisy) - 128) < 0.02, "rounded, not cut"
    draws = [image.std() for image in noisy]
    assert min(draws) > 5**0.5 * 0.9
    assert max(draws) < 15**0.5 * 1.1


def test_quarter_turns_are_90_or_270_degrees_and_as_frequent_as_asked_for() -> None:
    image = np.random.default_rng(0).integers(0, 255, (16, 16)).astype(np.uint8)
    mask = (image > 100).astype(np.uint8)
    augmenter = Augmenter([Rotate90(kind="rotate90", p=0.6)], 16)
    turns = np.zeros(4, int)
    for row in range(600):
        turned, moved = augmenter(image, mask, 1, row)
        assert np.array_equal(moved, turned > 100)
        turns += [np.array_equal(turned, np.rot90(image, k)) for k in range(4)]
    assert turns.sum() == 600
    assert turns[2] == 0
    assert abs(turns[0] / 600 - 0.4) < 0.06
    assert abs(turns[1] - turns[3]) < 60


def test_shear_is_drawn_within_its_limit_and_moves_mask_with_image() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 1
    augmenter = Augmenter([Affine(kind="affine", shift=0, scale=0, rotate_deg=0, shear_deg=10, p=1)], 64)
    moved = 0
    for row in range(30):
        image, first = augmenter(mask * np.uint8(200), mask, 1, row)
        assert set(np.unique(first)) <= {0, 1}
        assert ((image > 100) != first).sum() <= 0.05 * first.sum()
        left = first.argmax(1)[17:47]  # first column of the square in each of its rows
        lean = np.degrees(np.arctan(np.polyfit(np.arange(len(left)), left, 1)[0]))
        assert abs(lean) < 10 + 2
        moved += abs(lean) > 2
    assert moved > 10


def test_the_affine_transform_is_the_librarys_pixel_by_pixel() -> None:
    settings = {
        "translate_percent": (-0.1, 0.1), "scale": (0.9, 1.1), "rotate": (-15, 15), "shear": (-5, 5),
        "interpolation": 1, "mask_interpolation": 0, "border_mode": 0, "fill": 0, "fill_mask": 0, "p": 0.7,
    }  # fmt: skip
    image = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    plain, ours = A.Compose([A.Affine(**settings)]), A.Compose([Affine2D(**settings)])
    for seed in range(20):
        for transform in (plain, ours):
            transform.set_random_seed(seed)
        wanted, found = (transform(image=image, mask=image) for transform in (plain, ours))
        assert all(np.array_equal(wanted[part], found[part]) for part in ("image", "mask"))


def test_noise_is_that_of_the_library_on_float_images() -> None:
    """Same law: mean, deviation and shape of the differences, clipped at the ends of the scale."""
    pixels = np.repeat(np.array([0, 3, 128, 252, 255], np.uint8), 4000).reshape(100, 200)
    float_noise = A.Compose([A.ToFloat(255), A.GaussNoise((0.012, 0.012), (0, 0), p=1), A.FromFloat("uint8", 255)])
    ours = A.Compose([GreyNoise(std_range=(0.012, 0.012), mean_range=(0, 0), p=1)])
    for value in np.unique(pixels):
        wanted, found = (
            np.concatenate([t(image=pixels)["image"][pixels == value] for _ in range(20)]).astype(float)
            for t in (float_noise, ours)
        )
        assert found.mean() == pytest.approx(wanted.mean(), abs=0.05) and found.std() == pytest.approx(
            wanted.std(), abs=0.05
        )


def test_masks_share_the_geometry_and_nothing_else() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:40, 20:44] = 1
    steps = [
        HorizontalFlip(kind="horizontal_flip", p=0.5),
        Affine(kind="affine", shift=0.1, scale=0.1, rotate_deg=30, p=1),
        BrightnessContrast(kind="brightness_contrast", limit=0.2, p=1),
        GaussNoise(kind="gauss_noise", std_range=(0.00877, 0.01519), p=1),
    ]
    augmenter = Augmenter(steps, 64)
    for row in range(20):
        image, both = augmenter(mask * np.uint8(200), mask * np.uint8(6), 1, row)
        assert set(np.unique(both)) <= {0, 6}, "the bits of a label image move together"
        first = both >> 1 & 1
        bright = image > 100
        assert (bright & (first > 0)).sum() > 0.9 * first.sum()


def test_no_request_goes_out_at_import() -> None:
    """The library asks the package index for a newer version of itself, unless told not to."""
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): sys.exit('a connection was asked for')\n"
        "socket.create_connection = socket.socket.connect = socket.getaddrinfo = refuse\n"
        "import covidqu.data.batches, covidqu.steps.train, covidqu.steps.predict\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NO_ALBUMENTATIONS_UPDATE"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
