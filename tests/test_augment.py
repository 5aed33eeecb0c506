"""What was asked for is what albumentations does: the library drops unknown arguments with no more than a warning."""

import warnings
from pathlib import Path

import albumentations as A
import numpy as np
import pytest

from covidqu.config.params import load
from covidqu.config.training import Affine, BrightnessContrast, GaussNoise, HorizontalFlip, Rotate90
from covidqu.data import augment

ROOT = Path(__file__).resolve().parent.parent
GREY = np.full((64, 64), 128, np.uint8)


@pytest.mark.parametrize("run", ["unet-roi-lung", "unetpp-b3", "cbam-mtl-unet-proposed"])
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
                assert transform.shear == {a: (-step.shear_deg, step.shear_deg) for a in "xy"}
                assert (transform.mask_interpolation, transform.border_mode, transform.fill) == (0, 0, 0)
            case BrightnessContrast():
                assert transform.brightness_limit == transform.contrast_limit == (-step.limit, step.limit)
            case Rotate90():
                assert isinstance(transform, augment.QuarterTurn)
            case GaussNoise():
                assert transform.transforms[1].std_range == step.std_range


def test_noise_is_the_papers_variance_5_to_15() -> None:
    transform = augment.build([GaussNoise(kind="gauss_noise", std_range=(0.00877, 0.01519), p=1)])
    draws = [augment.apply(transform, GREY, [])[0].astype(float).std() for _ in range(200)]
    assert min(draws) > 5**0.5 * 0.9
    assert max(draws) < 15**0.5 * 1.1


def test_quarter_turns_are_90_or_270_degrees_and_as_frequent_as_asked_for() -> None:
    image = np.random.default_rng(0).integers(0, 255, (16, 16)).astype(np.uint8)
    mask = (image > 100).astype(np.uint8)
    transform = augment.build([Rotate90(kind="rotate90", p=0.6)])
    transform.set_random_seed(0)
    turns = np.zeros(4, int)
    for _ in range(600):
        turned, (first, second) = augment.apply(transform, image, [mask, mask])
        assert np.array_equal(first, turned > 100)
        assert np.array_equal(first, second)
        turns += [np.array_equal(turned, np.rot90(image, k)) for k in range(4)]
    assert turns.sum() == 600
    assert turns[2] == 0
    assert abs(turns[0] / 600 - 0.4) < 0.06
    assert abs(turns[1] - turns[3]) < 60


def test_shear_is_drawn_within_its_limit_and_moves_mask_with_image() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 1
    transform = augment.build([Affine(kind="affine", shift=0, scale=0, rotate_deg=0, shear_deg=10, p=1)])
    transform.set_random_seed(0)
    moved = 0
    for _ in range(30):
        image, (first,) = augment.apply(transform, mask * np.uint8(200), [mask])
        assert set(np.unique(first)) <= {0, 1}
        assert ((image > 100) != first).sum() <= 0.05 * first.sum()
        left = first.argmax(1)[17:47]  # first column of the square in each of its rows
        lean = np.degrees(np.arctan(np.polyfit(np.arange(len(left)), left, 1)[0]))
        assert abs(lean) < 10 + 2
        moved += abs(lean) > 2
    assert moved > 10


def test_no_shear_draws_what_was_drawn_before_there_was_shear() -> None:
    step = Affine(kind="affine", shift=0.1, scale=0.1, rotate_deg=15, p=0.5)
    image = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    plain = A.Compose([A.Affine(
        translate_percent=(-0.1, 0.1), scale=(0.9, 1.1), rotate=(-15, 15), shear=0, interpolation=1,
        mask_interpolation=0, border_mode=0, fill=0, fill_mask=0, p=0.5,
    )], seed=0)  # fmt: skip
    built = augment.build([step])
    plain.set_random_seed(7)
    built.set_random_seed(7)
    for _ in range(20):
        assert np.array_equal(plain(image=image, masks=[image])["image"], augment.apply(built, image, [image])[0])


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
