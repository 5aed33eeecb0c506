"""Protocols against hand-computed values for the four empty cases, against loops over masks, and against libraries."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import jaccard_score, precision_recall_fscore_support

from covidqu.evaluate import protocols

TASK = "infection"
# one image of 100 pixels per case: tp, fp, fn, tn
NORMAL, MISS, FALSE, EMPTY = (30, 10, 20, 40), (0, 0, 25, 75), (0, 4, 0, 96), (0, 0, 0, 100)
CASES = [NORMAL, MISS, FALSE, EMPTY]


def frame(table: object, task: str = TASK, lung: int = 40) -> pd.DataFrame:
    scores = pd.DataFrame(np.asarray(table), columns=[f"{task}_{c}" for c in protocols.COUNTS])
    return scores.assign(lung_area_px=lung)


def from_masks(predictions: np.ndarray, truths: np.ndarray) -> pd.DataFrame:
    rows = []
    for p, g in zip(predictions.astype(bool), truths.astype(bool), strict=True):
        rows.append([int((p & g).sum()), int((p & ~g).sum()), int((~p & g).sum()), int((~p & ~g).sum())])
    return frame(rows)


@pytest.mark.parametrize(
    ("protocol", "dice", "iou"),
    [
        ("img_covid", [60 / 90, 0], [30 / 60, 0]),
        ("img_smooth1", [61 / 91, 1 / 26, 1 / 5, 1], [31 / 61, 1 / 26, 1 / 5, 1]),
        ("img_all_e1", [60 / 90, 0, 0, 1], [0.5, 0, 0, 1]),
        ("img_all_e0", [60 / 90, 0, 0, 0], [0.5, 0, 0, 0]),
    ],
)
def test_four_cases_per_image(protocol: str, dice: list[float], iou: list[float]) -> None:
    values = protocols.per_image(protocol, frame(CASES), TASK)
    np.testing.assert_allclose(values["dice"], dice)
    np.testing.assert_allclose(values["iou"], iou)
    assert list(values.index) == list(range(len(dice)))
    found = protocols.summary(protocol, frame(CASES), TASK)
    assert found["n"] == len(dice)
    assert found["dice"] == pytest.approx(np.mean(dice))
    assert found["accuracy"] == pytest.approx(np.mean([0.7, 0.75, 0.96, 1][: len(dice)]))


@pytest.mark.parametrize("protocol", ["img_covid", "img_all_e1", "img_all_e0"])
def test_precision_recall_f1_are_zero_where_undefined(protocol: str) -> None:
    values = protocols.per_image(protocol, frame(CASES), TASK)
    none = [0] * (len(values) - 1)
    np.testing.assert_allclose(values["precision"], [0.75, *none])
    np.testing.assert_allclose(values["recall"], [0.6, *none])
    np.testing.assert_allclose(values["f1"], [2 * 0.75 * 0.6 / 1.35, *none])


def test_four_cases_pooled() -> None:
    covid = protocols.summary("pooled_covid", frame(CASES), TASK)
    assert covid == pytest.approx(
        {
            "n": 2,
            "dice": 60 / 115,
            "iou": 30 / 85,
            "precision": 0.75,
            "recall": 0.4,
            "f1": 0.6 / 1.15,
            "accuracy": 0.725,
        }
    )
    everything = protocols.summary("pooled_all", frame(CASES), TASK)
    assert everything == pytest.approx(
        {"n": 4, "dice": 60 / 119, "iou": 30 / 89, "precision": 30 / 44, "recall": 0.4, "f1": 60 / 119}
        | {"accuracy": 341 / 400}
    )
    blank = protocols.summary("pooled_all", frame([EMPTY, EMPTY]), TASK)
    assert np.isnan(blank["dice"]) and np.isnan(blank["iou"]) and blank["accuracy"] == 1


def test_four_cases_of_false_positives() -> None:
    scores = frame([*CASES, (0, 1, 0, 99), FALSE]).assign(label=["COVID-19"] * 2 + ["Normal"] * 3 + ["Non-COVID"])
    values = protocols.per_image("fp_normal", scores, TASK)
    assert list(values.index) == [2, 3, 4]
    np.testing.assert_allclose(values["any"], [1, 0, 1])
    np.testing.assert_allclose(values["over_1_percent"], [1, 0, 0])  # exactly 1 % is not above 1 %
    np.testing.assert_allclose(values["area"], [0.04, 0, 0.01])
    np.testing.assert_allclose(values["area_of_lung"], [0.1, 0, 0.025])
    assert protocols.per_image("fp_pneumonia", scores, TASK)["area"].tolist() == [0.04]
    found = protocols.summary("fp_normal", scores, TASK)
    assert found["n"] == 3
    assert found["any"] == pytest.approx(2 / 3)
    assert found["area_median"] == pytest.approx(0.01)
    assert found["area_of_lung_median"] == pytest.approx(0.025)
    assert np.isnan(protocols.per_image("fp_normal", scores.assign(lung_area_px=0), TASK)["area_of_lung"]).all()


def test_four_cases_in_batches() -> None:
    rows = [NORMAL, MISS, FALSE, NORMAL, EMPTY, EMPTY, MISS, EMPTY, FALSE]
    values = protocols.per_batch(frame(rows), TASK, batch=2)  # the last batch holds one image
    np.testing.assert_allclose(values["dice"], [60 / 115, 60 / 94, 1, 0, 0])
    np.testing.assert_allclose(values["iou"], [30 / 85, 30 / 64, 1, 0, 0])
    np.testing.assert_allclose(values["precision"], [30 / 40, 30 / 44, 0, 0, 0])
    np.testing.assert_allclose(values["recall"], [30 / 75, 30 / 50, 0, 0, 0])
    np.testing.assert_allclose(values["f1"], [60 / 115, 60 / 94, 0, 0, 0])
    np.testing.assert_allclose(values["accuracy"], [145 / 200, 166 / 200, 1, 175 / 200, 0.96])
    found = protocols.summary("batch8_seq", frame(rows), TASK, batch=2)
    assert found["n"] == 9
    assert found["batches"] == 5
    assert found["dice"] == pytest.approx((60 / 115 + 60 / 94 + 1) / 5)
    assert found["accuracy"] == pytest.approx((0.725 + 0.83 + 1 + 0.875 + 0.96) / 5)


def test_batches_of_the_whole_test_set() -> None:
    """583 COVID-19 images then 583 blank others: 73 batches with infection, 73 without (paper 001, Table II)."""
    scores = frame([NORMAL] * 583 + [EMPTY] * 583)
    values = protocols.per_batch(scores, TASK, batch=8)
    assert len(values) == 146
    assert int((values["recall"] > 0).sum()) == 73
    assert int((values["recall"] == 0).sum()) == 73
    found = protocols.summary("batch8_seq", scores, TASK)
    assert found["dice"] == pytest.approx((73 * 60 / 90 + 73) / 146)
    assert found["f1"] == pytest.approx(60 / 90 / 2)
    scores.loc[[600, 700, 1165], [f"{TASK}_fp", f"{TASK}_tn"]] = [1, 99]  # three batches of the half without infection
    assert protocols.summary("batch8_seq", scores, TASK)["dice"] == pytest.approx((73 * 60 / 90 + 70) / 146)


def test_lungs_have_one_natural_protocol() -> None:
    scores = frame([NORMAL, MISS], task="lung")
    assert protocols.summary("img_covid", scores, "lung") == protocols.summary("img_all_e1", scores, "lung")
    with pytest.raises(ValueError, match="none of 2 images qualifies"):
        protocols.summary("fp_normal", scores.assign(label="Normal"), "lung")


def test_misuse_is_named() -> None:
    scores = frame(CASES)
    with pytest.raises(ValueError, match="no protocol 'dice'"):
        protocols.summary("dice", scores, TASK)
    with pytest.raises(ValueError, match="no task 'lung'"):
        protocols.summary("img_covid", scores, "lung")
    with pytest.raises(ValueError, match="averages no images"):
        protocols.per_image("pooled_all", scores, TASK)
    with pytest.raises(ValueError, match="does not pool"):
        protocols.pooled("img_covid", scores, TASK)
    with pytest.raises(ValueError, match="no measure 'auc'"):
        protocols.pooled_measure("auc")
    with pytest.raises(ValueError, match="at least 1"):
        protocols.per_batch(scores, TASK, 0)


def unpack(bits: list[int]) -> np.ndarray:
    return np.array([[b >> k & 1 for k in range(9)] for b in bits], bool).reshape(-1, 3, 3)


def stack(n: int) -> st.SearchStrategy[np.ndarray]:
    empty_often = st.one_of(st.just(0), st.integers(0, 2**9 - 1))
    return st.lists(empty_often, min_size=n, max_size=n).map(unpack)


MASKS = st.integers(1, 9).flatmap(lambda n: st.tuples(stack(n), stack(n)))  # predictions, truths: (n, 3, 3)


def brute_dice(p: np.ndarray, g: np.ndarray, smooth: float, if_empty: float) -> float:
    both = total = 0
    for a, b in zip(p.ravel(), g.ravel(), strict=True):
        both += int(a and b)
        total += int(a) + int(b)
    return if_empty if total + smooth == 0 else (2 * both + smooth) / (total + smooth)


@settings(max_examples=60, deadline=None)
@given(MASKS, st.integers(1, 4))
def test_against_loops_over_masks(masks: tuple[np.ndarray, np.ndarray], batch: int) -> None:
    prediction, truth = masks
    scores = from_masks(prediction, truth)
    pairs = list(zip(prediction, truth, strict=True))
    for protocol, smooth, if_empty in (("img_smooth1", 1, 1), ("img_all_e1", 0, 1), ("img_all_e0", 0, 0)):
        wanted = [brute_dice(p, g, smooth, if_empty) for p, g in pairs]
        np.testing.assert_allclose(protocols.per_image(protocol, scores, TASK)["dice"], wanted)
    wanted = [brute_dice(p, g, 0, 0) for p, g in pairs if g.any()]
    np.testing.assert_allclose(protocols.per_image("img_covid", scores, TASK)["dice"], wanted)
    starts = range(0, len(pairs), batch)
    wanted = [brute_dice(prediction[i : i + batch], truth[i : i + batch], 0, 1) for i in starts]
    found = protocols.per_batch(scores, TASK, batch)
    np.testing.assert_allclose(found["dice"], wanted)
    np.testing.assert_allclose(found["iou"], [d / (2 - d) for d in wanted])
    whole = protocols.summary("pooled_all", scores, TASK)["dice"]
    np.testing.assert_allclose(whole, brute_dice(prediction, truth, 0, float("nan")))


@settings(max_examples=40, deadline=None)
@given(MASKS)
def test_relations_that_always_hold(masks: tuple[np.ndarray, np.ndarray]) -> None:
    scores = from_masks(*masks)
    one, none = (protocols.per_image(f"img_all_e{k}", scores, TASK) for k in (1, 0))
    np.testing.assert_allclose(one["iou"], one["dice"] / (2 - one["dice"]))
    np.testing.assert_allclose(none["f1"], none["dice"])
    blank = [not p.any() and not g.any() for p, g in zip(*masks, strict=True)]
    np.testing.assert_allclose(one["dice"] - none["dice"], np.array(blank, float))
    np.testing.assert_allclose(protocols.per_batch(scores, TASK, 1)["dice"], one["dice"])


def test_against_libraries_where_nothing_is_empty() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(0)
    prediction, truth = rng.random((2, 7, 16, 16)) < 0.3
    scores = from_masks(prediction, truth)
    images = protocols.per_image("img_covid", scores, TASK)
    names = ("f1_score", "jaccard_index", "precision", "recall", "f1_score", "accuracy")
    for row, (p, g) in enumerate(zip(prediction, truth, strict=True)):
        a, b = torch.from_numpy(p.astype(int)), torch.from_numpy(g.astype(int))
        for measure, name in zip(protocols.MEASURES, names, strict=True):
            wanted = float(getattr(functional, f"binary_{name}")(a, b))
            assert images.loc[row, measure] == pytest.approx(wanted, rel=1e-6), measure
    precision, recall, f1, _ = precision_recall_fscore_support(truth.ravel(), prediction.ravel(), average="binary")
    found = protocols.summary("pooled_all", scores, TASK)
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((precision, recall, f1))
    assert found["iou"] == pytest.approx(jaccard_score(truth.ravel(), prediction.ravel()))


def test_batch_losses_are_the_training_loss() -> None:
    """The mean over batches of the loss itself, with the last batch short, from the stored sums."""
    torch = pytest.importorskip("torch")
    from covidqu.config.training import Bce, Dice
    from covidqu.training.losses import total_loss

    rng = np.random.default_rng(1)
    logits = torch.from_numpy(rng.normal(0, 3, (7, 1, 8, 8)))
    truth = torch.from_numpy((rng.random((7, 1, 8, 8)) < 0.2) & (np.arange(7) < 4)[:, None, None, None])
    p, t = logits.sigmoid(), truth.double()
    scores = from_masks((logits > 0).numpy()[:, 0], truth.numpy()[:, 0]).assign(
        infection_soft_intersection=(p * t).sum((1, 2, 3)).numpy(),
        infection_soft_prediction=p.sum((1, 2, 3)).numpy(),
        infection_bce=-(t * p.log() + (1 - t) * (1 - p).log()).mean((1, 2, 3)).numpy(),
    )
    terms = [Bce(kind="bce", weight=0.5), Dice(kind="dice", weight=0.7, smooth=1.0)]
    label = torch.zeros(7, dtype=torch.long)
    batches = [slice(i, i + 3) for i in (0, 3, 6)]
    wanted = [float(total_loss({TASK: terms}, {TASK: logits[b]}, {TASK: truth[b]}, {}, label[b])) for b in batches]
    found = protocols.batch_losses(scores, TASK, 3, [term.model_dump() for term in terms])
    assert found == pytest.approx(wanted, rel=1e-5)
    for weight in (2.0, "train"):
        with pytest.raises(ValueError, match="pos_weight"):
            protocols.batch_losses(scores, TASK, 3, [{"kind": "bce", "weight": 1.0, "pos_weight": weight}])
    with pytest.raises(ValueError, match="'focal' is unknown"):
        protocols.batch_losses(scores, TASK, 3, [{"kind": "focal", "weight": 1.0}])


@pytest.mark.realdata
def test_reference_points_on_the_real_test_images(covidqu_data: Path) -> None:
    """Half of the images are empty: predicting nothing scores 0.5. Lungs taken as infection: Dice 0.646 on COVID-19."""
    root = next(covidqu_data.rglob("Test"))
    lungs, infections = [], []
    for label in ("COVID-19", "Non-COVID", "Normal"):
        for path in sorted((root / label / "lung masks").glob("*.png")):
            lungs.append(np.asarray(Image.open(path)) > 127)
            infected = root / label / "infection masks" / path.name
            infections.append(np.asarray(Image.open(infected)) > 127 if infected.is_file() else np.zeros_like(lungs[0]))
    truth, lung = np.stack(infections), np.stack(lungs)
    blank, whole = from_masks(np.zeros_like(truth), truth), from_masks(lung, truth)
    for protocol, n in (("batch8_seq", 1166), ("img_all_e1", 1166)):
        found = protocols.summary(protocol, blank, TASK)
        assert (found["n"], found["dice"], found["recall"]) == (n, 0.5, 0)
    assert protocols.summary("img_covid", blank, TASK)["dice"] == 0
    found = protocols.summary("img_covid", whole, TASK)
    assert found["n"] == 583
    assert found["dice"] == pytest.approx(0.646, abs=5e-4)
    assert found["recall"] == 1  # no infection lies outside the lung
    assert protocols.summary("batch8_seq", whole, TASK)["recall"] == 73 / 146
    labels = whole.assign(label=["COVID-19"] * 583 + ["Non-COVID"] * 292 + ["Normal"] * 291)
    assert [protocols.summary(p, labels, TASK)["any"] for p in protocols.FALSE_INFECTION] == [1, 1]
