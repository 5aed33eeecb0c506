"""Warnings: each kind is given for a picture that calls for it, and not for a usual one."""

import subprocess
import sys
from functools import cache

import cv2
import numpy as np
import pytest

from covidqu.config.data import PX
from covidqu.ingest.sources.phantom import cloud, grid
from covidqu.reading import odd, trust
from covidqu.reading.signs import Signs, block_means, picture_hash, signs, thumbnail

SEEDS, FEATURES = 3, 24
FEATURE_MAP = np.random.default_rng(7).normal(size=(256, FEATURES)).astype(np.float32)
USUAL = 160


@cache
def chest(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A sketch of a chest, (256, 256) uint8, and its lungs: the heart on the right, dark lungs, texture."""
    rng = np.random.default_rng([3, number])
    x, y = grid()
    x, y = x - rng.uniform(-0.06, 0.06), y - rng.uniform(-0.06, 0.06)
    wide, tall = rng.uniform(0.27, 0.33), rng.uniform(0.55, 0.65)
    right = np.hypot((x + 0.42) / wide, y / tall) < 1
    left = (np.hypot((x - 0.42) / wide, y / tall) < 1) & ~(np.hypot((x - 0.2) / 0.35, (y - 0.4) / 0.3) < 1)
    lung = right | left
    image = 150.0 + 40 * y - 90 * cv2.GaussianBlur(lung.astype(np.float64), (0, 0), 2)
    image += 10 * cloud(rng, 10) + 10 * cloud(rng, 20)  # no two patients are alike
    image = image * (np.hypot(x / 1.1, y / 1.3) < 1) + rng.normal(0, 4, (PX, PX))
    return np.clip(image * rng.uniform(0.9, 1.1), 0, 255).astype(np.uint8), lung


def logits(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, 4, -4).astype(np.float32)


def outputs(picture: np.ndarray, lung: np.ndarray, infection: np.ndarray | None = None) -> list[dict[str, np.ndarray]]:
    """What networks of three seeds might give: these masks, features that follow the picture, one class."""
    infection = infected(lung) if infection is None else infection
    one = {
        "lung": logits(lung),
        "infection": logits(infection),
        "class": np.array([2.0, 0, -1], np.float32),
        "features": thumbnail(picture) @ FEATURE_MAP,
    }
    return [dict(one) for _ in range(SEEDS)]


def infected(lung: np.ndarray) -> np.ndarray:
    """The lower part of the lungs."""
    return lung & (grid()[1] > 0.3)


@cache
def known() -> trust.Known:
    def part(first: int) -> list[Signs]:
        return [signs(picture, outputs(picture, lung)) for picture, lung in map(chest, range(first, first + USUAL))]

    return trust.fit(part(0), part(USUAL), [f"Train/{n}" for n in range(USUAL)])


def codes(picture: np.ndarray, found: list[dict[str, np.ndarray]], size: tuple[int, int] | None = (800, 900)) -> set:
    return {warning.code for warning in trust.warnings(np.ascontiguousarray(picture), found, known(), size)}


def new() -> tuple[np.ndarray, np.ndarray]:
    return chest(2 * USUAL + 5)


def test_a_usual_picture_gives_no_warning() -> None:
    given = [codes(picture, outputs(picture, lung)) for picture, lung in map(chest, range(2 * USUAL, 2 * USUAL + 20))]
    assert sum(map(bool, given)) <= 3, given
    assert not codes(new()[0], outputs(*new()))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("inverted", "inverted"),
        ("turned by 180°", "upside-down"),
        ("turned left by 90°", "turned-left"),
        ("turned right by 90°", "turned-right"),
        ("mirrored", "mirrored"),
        ("heavily blurred", "blurred"),
        ("heavy noise", "noisy"),
        ("heavy contrast", "saturated"),
        ("shifted by 30 to 45 %", "unlike-layout"),
        ("shifted by 30 to 45 %", "unlike-features"),
    ],
)
def test_a_changed_picture_is_said_to_be_so(change: str, code: str) -> None:
    picture, lung = new()
    other = odd.changed(change, [picture], 0)[0]
    assert code in codes(other, outputs(other, lung[:, ::-1] if change == "mirrored" else lung))


@pytest.mark.parametrize("kind", [*odd.DRAWN])
def test_what_is_no_chest_is_said_to_be_none(kind: str) -> None:
    picture = odd.drawn(kind, 1, 0)[0]
    lung = picture > np.median(picture)
    assert "no-chest" in codes(picture, outputs(picture, lung))


def test_an_empty_picture_is_said_to_be_empty() -> None:
    empty = np.full((PX, PX), 90, np.uint8)
    assert {"empty", "lungs-small"} <= codes(empty, outputs(empty, np.zeros((PX, PX), bool)))


def test_implausible_lungs_are_said_to_be_so() -> None:
    picture, lung = new()
    x = grid()[0]
    one, nothing = lung & (x < 0), np.zeros_like(lung)
    assert "lungs-small" in codes(picture, outputs(picture, nothing))
    assert "lungs-small" in codes(picture, outputs(picture, lung & (np.hypot(x + 0.4, grid()[1]) < 0.05)))
    assert {"lungs-joined", "unlike-layout"} <= codes(picture, outputs(picture, one))
    assert "lungs-large" in codes(picture, outputs(picture, np.ones_like(lung)))
    assert "lungs-one-side" in codes(picture, outputs(picture, one | (lung & (np.abs(x - 0.6) < 0.02))))


def test_infection_outside_the_lungs_is_said() -> None:
    picture, lung = new()
    assert "infection-outside" in codes(picture, outputs(picture, lung, infected(lung) | (grid()[1] > 0.9)))


def test_seeds_that_disagree_are_said_to_do_so() -> None:
    picture, lung = new()
    found = outputs(picture, lung)
    found[1]["infection"] = logits(np.zeros_like(lung))
    assert codes(picture, found) == {"seeds-infection"}
    found = outputs(picture, lung)
    found[2]["lung"] = logits(lung & (grid()[1] < 0.3))
    assert "seeds-lungs" in codes(picture, found)
    found = outputs(picture, lung)
    found[0]["class"] = found[0]["class"][::-1]
    assert codes(picture, found) == {"seeds-class"}
    assert codes(picture, outputs(picture, np.zeros_like(lung))).isdisjoint({"seeds-lungs", "seeds-infection"})


def test_a_small_picture_is_said_to_be_small() -> None:
    picture, lung = new()
    assert codes(picture, outputs(picture, lung), (200, 900)) == {"few-pixels"}
    assert not codes(picture, outputs(picture, lung), (256, 256))
    assert not codes(picture, outputs(picture, lung), None)


def test_a_training_image_is_found_in_another_form() -> None:
    picture, lung = chest(3)
    other = cv2.imdecode(cv2.imencode(".jpg", cv2.resize(picture, (700, 700)), [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 0)
    other = cv2.resize(np.clip(other * 0.9 + 10, 0, 255).astype(np.uint8), (PX, PX), interpolation=cv2.INTER_AREA)
    found = signs(other, outputs(other, lung))
    assert "in-training-set" in codes(other, outputs(other, lung))
    assert trust.nearest(found, known().arrays) == "Train/3"


def test_limits_are_those_of_val() -> None:
    limits = known().limits
    assert limits.keys() == trust.CHECKS.keys()
    assert all(limit.val_share <= trust.OFTEN for limit in limits.values())
    assert limits["in-training-set"].val_share == 0


def test_what_a_run_does_not_have_is_not_judged() -> None:
    train, val = ([signs(chest(n)[0], [{}]) for n in range(a, a + 40)] for a in (0, 40))
    found = trust.fit(train, val, [str(n) for n in range(40)])
    assert not found.limits.keys() & {"no-chest", "unlike-features", "lungs-small", "seeds-lungs", "seeds-class"}
    assert not trust.judged(val[0], *found)
    noise = odd.drawn("noise", 1, 0)[0]
    assert "unlike-layout" in {warning.code for warning in trust.judged(signs(noise, [{}]), *found)}


def test_faults_of_input_are_told() -> None:
    picture, lung = new()
    with pytest.raises(ValueError, match=r"picture: uint8 \(64, 64\); want uint8 \(256, 256\)"):
        signs(picture[:64, :64], [])
    with pytest.raises(ValueError, match="a side must be a multiple of 16"):
        block_means(lung[:250, :250], 16)
    one = [signs(picture, [])]
    with pytest.raises(ValueError, match="1 images of Train, 2 names, 2 of Val"):
        trust.fit(one, one * 2, ["a", "b"])


def test_turned_layouts_are_those_of_turned_pictures() -> None:
    picture, lung = chest(1)
    changes = {"inverted": "inverted", "upside_down": "turned by 180°", "turned_left": "turned left by 90°",
               "turned_right": "turned right by 90°", "mirrored": "mirrored"}  # fmt: skip
    for name, layout in trust.turned(signs(picture, outputs(picture, lung)).vectors["layout"][None]).items():
        other = np.ascontiguousarray(odd.changed(changes[name], [picture], 0)[0])
        wanted = signs(other, outputs(other, lung[:, ::-1])).vectors["layout"]
        np.testing.assert_allclose(layout[0], wanted[: layout.shape[1]], atol=1e-5)


def test_distance_is_near_1_for_training_images_and_larger_where_they_do_not_spread() -> None:
    rng = np.random.default_rng(0)
    spreads = np.linspace(1, 5, 40)
    vectors = rng.normal(size=(4000, 40)) * spreads
    arrays = trust._whitening("v", vectors)
    assert np.mean([trust.distance(v, "v", arrays) ** 2 for v in vectors[:500]]) == pytest.approx(1, abs=0.1)
    along, across = np.zeros((2, 40))
    along[-1] = across[0] = 20
    assert trust.distance(across, "v", arrays) > 2.5 * trust.distance(along, "v", arrays)


def test_of_inverted_and_turned_the_plainest_is_said() -> None:
    known_turns = {code for code, check in trust.CHECKS.items() if check.value in trust.TURNS}
    for change in ("inverted", "turned by 180°", "turned left by 90°", "turned right by 90°"):
        for number in range(5):
            picture, lung = chest(2 * USUAL + number)
            other = np.ascontiguousarray(odd.changed(change, [picture], 0)[0])
            assert len(codes(other, outputs(other, lung)) & known_turns) == 1


def test_temperature_takes_back_what_was_multiplied() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20000, 3)) * 2
    target = np.array([rng.choice(3, p=p) for p in trust.probabilities(logits[None], 1)])
    assert trust.temperature(3 * logits[None], target) == pytest.approx(3, rel=0.05)
    two = np.stack([logits, logits[:, ::-1]])
    np.testing.assert_allclose(trust.probabilities(two, 2)[:, 0], trust.probabilities(two, 2)[:, 2])
    single = trust.probabilities(np.array([[[0.0], [2.0]]]), 1)
    np.testing.assert_allclose(single, [[0.5, 0.5], [1 / (1 + np.e**2), 1 / (1 + np.e**-2)]])
    with pytest.raises(ValueError, match="0 with a class"):
        trust.temperature(logits[None], target[:0])


def test_the_hash_is_blind_to_exposure() -> None:
    picture = chest(9)[0]
    darker = np.rint(picture * 0.6 + 20).astype(np.uint8)
    assert np.bitwise_count(picture_hash(picture) ^ picture_hash(darker)).sum() <= 8


def test_odd_pictures_are_the_same_for_the_same_seed() -> None:
    for kind in odd.DRAWN:
        first, again, other = (odd.drawn(kind, 2, seed) for seed in (0, 0, 1))
        assert first.shape == (2, PX, PX) and first.dtype == np.uint8
        assert (first == again).all() and (first != other).any()
    parts = odd.photographs(0), odd.photographs(1)
    assert len(parts[0]) == len(parts[1]) == len(odd.PHOTOGRAPHS)


def test_a_reading_needs_no_large_library_for_its_warnings() -> None:
    code = "import sys, covidqu.reading.trust; print(*{'torch', 'pandas', 'scipy', 'sklearn'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
