"""What was asked for is what albumentations does: the library drops unknown arguments with no more than a warning."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from covidqu.config.params import load
from covidqu.config.training import Affine, BrightnessContrast, GaussNoise, HorizontalFlip
from covidqu.data import augment

ROOT = Path(__file__).resolve().parent.parent
GREY = np.full((64, 64), 128, np.uint8)


@pytest.mark.parametrize("run", ["unet-roi-lung", "unetpp-b3"])
def test_papers_settings_reach_the_library(run: str) -> None:
    steps = load([ROOT / "params.yaml"]).run(run).augment
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = augment.build(steps).transforms
    for step, transform in zip(steps, built, strict=True):
        assert transform.p == step.p
        match step:
            case Affine():
                assert transform.translate_percent == {"x": (-step.shift, step.shift), "y": (-step.shift, step.shift)}
                assert transform.scale == {a: pytest.approx((1 - step.scale, 1 + step.scale)) for a in "xy"}
                assert transform.rotate == (-step.rotate_deg, step.rotate_deg)
                assert transform.shear == {"x": (0, 0), "y": (0, 0)}
                assert (transform.mask_interpolation, transform.border_mode, transform.fill) == (0, 0, 0)
            case BrightnessContrast():
                assert transform.brightness_limit == transform.contrast_limit == (-step.limit, step.limit)
            case GaussNoise():
                assert transform.transforms[1].std_range == step.std_range


def test_noise_is_the_papers_variance_5_to_15() -> None:
    transform = augment.build([GaussNoise(kind="gauss_noise", std_range=(0.00877, 0.01519), p=1)])
    draws = [augment.apply(transform, GREY, [])[0].astype(float).std() for _ in range(200)]
    assert min(draws) > 5**0.5 * 0.9
    assert max(draws) < 15**0.5 * 1.1


def test_masks_share_the_geometry_and_nothing_else() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:40, 20:44] = 1
    steps = [
        HorizontalFlip(kind="horizontal_flip", p=0.5),
        Affine(kind="affine", shift=0.1, scale=0.1, rotate_deg=30, p=1),
        BrightnessContrast(kind="brightness_contrast", limit=0.2, p=1),
        GaussNoise(kind="gauss_noise", std_range=(0.00877, 0.01519), p=1),
    ]
    transform = augment.build(steps)
    transform.set_random_seed(0)
    for _ in range(20):
        image, (first, second) = augment.apply(transform, mask * np.uint8(200), [mask, mask])
        assert set(np.unique(first)) <= {0, 1}
        assert np.array_equal(first, second)
        bright = image > 100
        assert (bright & (first > 0)).sum() > 0.9 * first.sum()


def test_draws_depend_on_the_seed_alone() -> None:
    steps = load([ROOT / "params.yaml"]).run("unetpp-b3").augment
    image = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)

    def draw(seed: int) -> list[np.ndarray]:
        transform = augment.build(steps)
        transform.set_random_seed(seed)
        return [augment.apply(transform, image, [image])[0] for _ in range(5)]

    assert all(np.array_equal(a, b) for a, b in zip(draw(3), draw(3), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(draw(3), draw(4), strict=True))
