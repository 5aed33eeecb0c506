"""Cells of runs: classes, quantities per image, repetitions with other seeds, differences between two runs."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from covidqu.config.evaluation import Bootstrap, Evaluate
from covidqu.config.training import CLASS_MAPS
from covidqu.evaluate import protocols
from covidqu.evaluate.statistics import bootstrap_difference, bootstrap_mean
from covidqu.report.core.cells import Cell
from covidqu.report.core.differences import Difference
from covidqu.report.core.measures import Classes, Loss, Mask, Measure, Number, PerImage, Prevalence, Psnr, at_px
from covidqu.report.core.run_cells import evaluate, over_seeds
from covidqu.report.core.sources import Sources

EVALUATE = Evaluate(bootstrap=Bootstrap(resamples=400, confidence=0.95, seed=0), protocol_batch=8)
LABELS = ["COVID-19"] * 30 + ["Non-COVID"] * 12 + ["Normal"] * 18
RUNS = {  # name: class map
    "net": "covid_vs_normal",
    "net-seed1": "covid_vs_normal",
    "net-seed2": "covid_vs_normal",
    "three": "three",
    "rest": "covid_vs_rest",
    "masks": None,
    "absent": "three",
}


class FakeParams(SimpleNamespace):
    """What cells ask of the parameters."""

    def run(self, name: str) -> Any:
        return SimpleNamespace(split="official", class_map=CLASS_MAPS[RUNS[name]] if RUNS[name] else {})

    def seeds(self, name: str) -> list[str]:
        return [run for run in self.resolved if run.split("-seed")[0] == name]

    def model_copy(self, update: dict[str, Any]) -> "FakeParams":
        return FakeParams(**{**vars(self), **update})


def frame(run: str, seed: int) -> pd.DataFrame:
    rng, n = np.random.default_rng(seed), len(LABELS)
    covid = np.array([label == "COVID-19" for label in LABELS])
    known = {"row": np.arange(n), "id": [f"infection/Test/{i}" for i in range(n)], "label": LABELS}
    found = pd.DataFrame(known | {"near_duplicate": False, "n_px": 65536, "lung_area_px": 15000})
    for suffix, pixels in (("", 65536), ("_at_224", 50176)):
        tp, fn = np.where(covid, rng.integers(3000, 6000, n), 0), np.where(covid, rng.integers(100, 2000, n), 0)
        fp = rng.integers(0, 2, n) * rng.integers(100, 2000, n)
        columns = {"tp": tp, "fp": fp, "fn": fn, "tn": pixels - tp - fp - fn}
        found = found.assign(**{f"infection_{c}{suffix}": values for c, values in columns.items()})
    found["infection_mse_at_224"] = np.where(np.arange(n) % 10 == 9, 0, rng.uniform(0.01, 0.1, n))
    if RUNS[run]:
        classes = CLASS_MAPS[RUNS[run]]
        target = np.array([classes.get(label, -1) for label in LABELS])
        logits = rng.normal(0, 1, (n, 1 if run == "rest" else max(classes.values()) + 1))
        for k in range(logits.shape[1]):
            hit = (2 * target - 1) if run == "rest" else (target == k) * 1.5
            found[f"class_logit_{k}"] = (logits[:, k] + hit).astype("float32")
        found["class_target"] = target.astype("int32")
    return found


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    for seed, run in enumerate(RUNS):
        if run != "absent":
            folder = tmp_path / "runs" / run
            folder.mkdir(parents=True)
            frame(run, seed).to_parquet(folder / "scores.parquet")
            (folder / "card.json").write_text("{}")
    params = FakeParams(resolved=dict.fromkeys(RUNS), evaluate=EVALUATE)
    return Sources(params, tmp_path, tmp_path)


def of(sources: Sources, measure: Measure) -> Cell:
    return evaluate(sources, "row", "column", measure)


def means(sources: Sources, measure: Measure) -> Cell:
    return over_seeds(sources, "row", "column", measure)


def known(scores: pd.DataFrame) -> pd.DataFrame:
    return scores[scores["class_target"] >= 0]


def test_class_cell_of_two_classes(sources: Sources) -> None:
    scores = known(sources.scores("net"))
    margin = scores["class_logit_1"] - scores["class_logit_0"]
    target = scores["class_target"]
    wanted = {
        "accuracy": metrics.accuracy_score(target, margin > 0),
        "sensitivity": metrics.recall_score(target, margin > 0),
        "specificity": metrics.recall_score(target, margin > 0, pos_label=0),
        "auc": metrics.roc_auc_score(target, margin),
        "mcc": metrics.matthews_corrcoef(target, margin > 0),
    }
    for metric, value in wanted.items():
        found = of(sources, Classes(run="net", metric=metric, percent=True, note="why"))
        assert found.measured_correct == pytest.approx(100 * value)
        assert found.ci_low < found.measured_correct < found.ci_high <= 100
        assert found.n == 48  # Non-COVID is no class of this head
        assert (found.run, found.seeds, found.split, found.note) == ("net", 1, "official Test", "why")
        assert found.protocol_correct == ("class_ranking" if metric == "auc" else "class_argmax")
        assert (found.measured_paper, found.protocol_paper) == (None, "")
    same = of(sources, Classes(run="net", metric="accuracy", paper=True))
    assert same.measured_paper == same.measured_correct
    assert same.protocol_paper == "class_argmax"


def test_class_cell_one_against_the_rest(sources: Sources) -> None:
    scores = sources.scores("three")
    decided = scores[[f"class_logit_{k}" for k in range(3)]].to_numpy().argmax(axis=1)
    for k, label in enumerate(("Normal", "Non-COVID", "COVID-19")):
        found = of(sources, Classes(run="three", metric="sensitivity", label=label))
        assert found.measured_correct == pytest.approx(np.mean(decided[scores["class_target"] == k] == k))
        assert found.n == 60
    unnamed = of(sources, Classes(run="three", metric="f1"))
    assert unnamed == of(sources, Classes(run="three", metric="f1", label="COVID-19"))
    assert unnamed != of(sources, Classes(run="three", metric="f1", label="Normal"))
    with pytest.raises(ValueError, match="accuracy is of all classes"):
        Classes(run="three", metric="accuracy", label="Normal")
    rest = sources.scores("rest")
    area = metrics.roc_auc_score(rest["label"] == "COVID-19", rest["class_logit_0"])
    assert of(sources, Classes(run="rest", metric="auc")).measured_correct == pytest.approx(area)


def test_class_cell_says_why_it_is_empty(sources: Sources) -> None:
    def note(run: str, metric: str = "auc", **settings: Any) -> str:
        found = of(sources, Classes(run=run, metric=metric, **settings))
        assert not found.measured
        return found.words

    assert note("absent") == "not run: run absent has no scores.parquet and no card.json"
    assert note("never").startswith("not run: run never is not in the parameters")
    assert note("masks") == "no such output: run masks tells no COVID-19 apart"
    assert note("net", "sensitivity", label="Non-COVID") == "no such output: run net tells no Non-COVID apart"
    path = sources.folder("net") / "scores.parquet"
    scores = pd.read_parquet(path)
    scores.loc[scores["label"] == "Normal", "label"] = "Non-COVID"
    scores["class_target"] = np.where(scores["class_target"] == 1, 1, -1)
    scores.to_parquet(path)
    sources.scores.cache_clear()
    assert note("net") == "undefined: auc has no value for these 30 images"


def test_class_cell_without_an_interval(sources: Sources) -> None:
    path = sources.folder("net") / "scores.parquet"
    scores = pd.read_parquet(path)
    scores["class_target"] = np.where(np.arange(60) < 2, 1, np.where(scores["label"] == "Normal", 0, -1))
    scores.to_parquet(path)
    found = of(sources, Classes(run="net", metric="sensitivity", note="two"))
    assert found.n == 20
    assert found.measured_correct is not None
    assert (found.ci_low, found.ci_high) == (None, None)
    assert found.note.startswith("two; no interval: sensitivity is undefined")


def test_image_cell(sources: Sources) -> None:
    scores = sources.scores("net")
    column = "infection_mse_at_224"
    found = of(sources, PerImage(run="net", quantity=column, percent=True))
    mean, low, high = bootstrap_mean(scores[column].to_numpy(), EVALUATE.bootstrap)
    assert (found.measured_correct, found.ci_low, found.ci_high) == pytest.approx((100 * mean, 100 * low, 100 * high))
    assert (found.n, found.protocol_correct, found.run) == (60, "mean over images", "net")
    covid = of(sources, PerImage(run="net", quantity=column, select="COVID-19", how="COVID-19 images", paper=True))
    assert covid.measured_correct == pytest.approx(scores[column][:30].mean())
    assert covid.measured_paper == covid.measured_correct
    assert (covid.n, covid.protocol_correct, covid.protocol_paper) == (30, "COVID-19 images", "COVID-19 images")

    def accuracy(s: pd.DataFrame) -> pd.Series:
        return (s["infection_tp_at_224"] + s["infection_tn_at_224"]) / 224**2

    others = of(sources, PerImage(run="net", quantity=accuracy, select=lambda s: s["label"] != "COVID-19"))
    assert others.n == 30
    assert others.measured_correct == pytest.approx(1 - scores["infection_fp_at_224"][30:].mean() / 224**2)


def test_image_cell_says_why_it_is_empty(sources: Sources) -> None:
    def note(quantity: Any, select: Any = None, run: str = "net") -> str:
        found = of(sources, PerImage(run=run, quantity=quantity, select=select))
        assert not found.measured
        return found.words

    assert note("lung_mse_at_224") == "not run: the scores of run net hold no lung_mse_at_224"
    assert note(lambda s: s["reconstruction_mse"]).endswith("hold no reconstruction_mse")
    assert note("n_px", "Lung Opacity") == "undefined: no value for these test images"
    assert note(lambda s: s["n_px"] * math.inf) == "undefined: an infinite value for these test images"
    assert note("n_px", run="absent").startswith("not run: run absent has no")
    some = of(sources, PerImage(run="net", quantity=lambda s: s["n_px"].where(s["row"] > 9)))
    assert some.n == 50


def test_psnr_cells(sources: Sources) -> None:
    errors = sources.scores("net")["infection_mse_at_224"].to_numpy()
    pooled = of(sources, Psnr(run="net", errors="infection_mse_at_224", pooled=True))
    assert pooled.measured_correct == pytest.approx(-10 * math.log10(errors.mean()))
    assert pooled.ci_low < pooled.measured_correct < pooled.ci_high
    assert pooled.n == 60
    each = of(sources, Psnr(run="net", errors="infection_mse_at_224", pooled=False, note="peak 1"))
    assert each.measured_correct == pytest.approx((-10 * np.log10(errors[errors > 0])).mean())
    assert each.measured_correct != pytest.approx(pooled.measured_correct, abs=1e-3)
    assert (each.n, each.note) == (54, "peak 1; 6 images without an error are left out")
    blank = of(
        sources, Psnr(run="net", errors="infection_mse_at_224", pooled=True, select=lambda s: s["row"] % 10 == 9)
    )
    assert blank.words == "undefined: the scores of run net hold no error in infection_mse_at_224"


def test_scale_and_side_of_a_protocol(sources: Sources) -> None:
    scores = sources.scores("net")
    plain = of(sources, Mask(run="net", metric="dice", paper="img_all_e1", correct="img_covid"))
    percent = of(sources, Mask(run="net", metric="dice", paper="img_all_e1", correct="img_covid", percent=True))
    for key in ("measured_paper", "measured_correct", "ci_low", "ci_high"):
        assert getattr(percent, key) == pytest.approx(100 * getattr(plain, key))
    tp, fp, fn = (scores[f"infection_{c}_at_224"][:30] for c in ("tp", "fp", "fn"))
    there = of(sources, Mask(run="net", metric="dice", correct="img_covid", px=224))
    assert there.measured_correct == pytest.approx((2 * tp / (2 * tp + fp + fn)).mean())
    assert there.measured_correct != pytest.approx(plain.measured_correct)
    missing = of(sources, Mask(run="net", metric="dice", correct="img_covid", px=128))
    assert missing.words == "not run: run net was not scored at 128 px"
    paper_only = of(sources, Mask(run="net", metric="dice", paper="img_all_e1", percent=True))
    assert (paper_only.measured_paper, paper_only.measured_correct) == (percent.measured_paper, None)
    assert at_px(scores, "infection", 256) is scores
    small = at_px(scores, "infection", 224)
    assert (protocols.counts(small, "infection").sum(axis=1) == 224**2).all()
    assert small["lung_area_px"].iloc[0] == 15000 * 0.875**2


def test_over_seeds(sources: Sources) -> None:
    dice = Mask(run="net", metric="dice", paper="img_all_e1", correct="img_covid", note="as is")
    cells = [of(sources, dice.of(run)) for run in ("net", "net-seed1", "net-seed2")]
    found = means(sources, dice)
    values = [c.measured_correct for c in cells]
    assert len(set(values)) == 3
    assert found.measured_correct == pytest.approx(np.mean(values))
    assert found.measured_paper == pytest.approx(np.mean([c.measured_paper for c in cells]))
    assert (found.seeds, found.n, found.run, found.ci_low, found.ci_high) == (3, 30, "net", None, None)
    spread = f"SD {np.std(values, ddof=1):.4g} over 3 seeds, from {min(values):.4g} to {max(values):.4g}"
    assert found.note == f"as is; {spread}"


def test_intervals_that_no_one_sees_are_not_computed(sources: Sources) -> None:
    drawn = []

    class Watched(Classes):
        def number(self, sources: Sources) -> Number:
            drawn.append(sources.params.evaluate.bootstrap.resamples)
            return super().number(sources)

    assert means(sources, Watched(run="net", metric="auc")).ci_low is None and drawn == [0, 0, 0]
    assert means(sources, Watched(run="three", metric="auc")).ci_low is not None and drawn[3:] == [0, 400]
    assert sources.params.evaluate.bootstrap.resamples == 400


def test_over_seeds_when_some_are_absent(sources: Sources) -> None:
    pixels = PerImage(run="net", quantity="infection_tp")
    assert means(sources, pixels.of("three")) == of(sources, pixels.of("three"))  # one training, its interval
    (sources.folder("net-seed1") / "card.json").unlink()
    two = means(sources, pixels)
    assert two.seeds == 2
    assert two.note.endswith("; without net-seed1")
    (sources.folder("net") / "card.json").unlink()
    sources.scores.cache_clear()
    one = means(sources, pixels)
    assert (one.run, one.seeds, one.note) == ("net-seed2", 1, "without net, net-seed1")
    assert one.ci_low is not None
    assert one.measured_correct == of(sources, pixels.of("net-seed2")).measured_correct
    assert means(sources, pixels.of("absent")) == of(sources, pixels.of("absent"))
    assert means(sources, pixels.of("never")).words.startswith("not run: run never is not in the parameters")


def test_over_seeds_names_what_differs_in_number(sources: Sources) -> None:
    path = sources.folder("net-seed1") / "scores.parquet"
    pd.read_parquet(path).assign(infection_mse_at_224=0.05).to_parquet(path)
    found = means(sources, Psnr(run="net", errors="infection_mse_at_224", pooled=False))
    assert (found.n, found.seeds) == (None, 3)
    assert "n from 54 to 60" in found.note


def test_difference_of_masks(sources: Sources) -> None:
    a, b = (protocols.per_image("img_covid", sources.scores(run), "infection")["dice"] for run in ("net", "masks"))
    wanted = bootstrap_difference(a.to_numpy(), b.to_numpy(), EVALUATE.bootstrap)
    found = of(
        sources, Difference(run="net", other="masks", metric="dice", protocol="img_covid", percent=True, note="x")
    )
    assert (found.measured_correct, found.ci_low, found.ci_high) == pytest.approx([100 * v for v in wanted])
    assert (found.n, found.protocol_correct, found.run) == (30, "img_covid", "net")
    assert found.note == "x; net minus masks, paired over images"
    pooled = of(sources, Difference(run="net", other="masks", metric="dice", protocol="pooled_all"))
    alone = [of(sources, Mask(run=run, metric="dice", correct="pooled_all")) for run in ("net", "masks")]
    assert pooled.measured_correct == pytest.approx(alone[0].measured_correct - alone[1].measured_correct)
    assert pooled.n == 60


def test_difference_is_over_common_images_whatever_their_order(sources: Sources) -> None:
    whole = [sources.scores(run) for run in ("net", "masks")]
    path = sources.folder("masks") / "scores.parquet"
    whole[1].iloc[::-1].iloc[:50].to_parquet(path)  # ten COVID-19 images fewer, backwards
    sources.scores.cache_clear()
    a, b = (protocols.per_image("img_covid", s.iloc[10:], "infection")["dice"] for s in whole)
    found = of(sources, Difference(run="net", other="masks", metric="dice", protocol="img_covid"))
    assert found.n == 20
    assert found.measured_correct == pytest.approx((a - b).mean())
    assert found.ci_low == pytest.approx(bootstrap_difference(a.to_numpy(), b.to_numpy(), EVALUATE.bootstrap)[1])


def test_pooled_and_class_differences_pair_the_images_by_name(sources: Sources) -> None:
    path = sources.folder("net-seed1") / "scores.parquet"
    whole = sources.scores("net-seed1")
    whole.iloc[::-1].iloc[:50].to_parquet(path)
    sources.scores.cache_clear()
    pooled = of(sources, Difference(run="net", other="net-seed1", metric="dice", protocol="pooled_all"))
    counts = [protocols.counts(s.iloc[10:], "infection").sum(axis=0) for s in (sources.scores("net"), whole)]
    dice = [float(protocols.pooled_measure("dice")(c)) for c in counts]
    assert (pooled.n, pooled.measured_correct) == (50, pytest.approx(dice[0] - dice[1]))
    right = of(sources, Difference(run="net", other="net-seed1", task="class", metric="accuracy"))
    shares = []
    for scores in (sources.scores("net"), whole):
        seen = known(scores.iloc[10:])
        shares.append(((seen["class_logit_1"] > seen["class_logit_0"]) == seen["class_target"]).mean())
    assert (right.n, right.measured_correct) == (38, pytest.approx(shares[0] - shares[1]))


def test_difference_of_classes(sources: Sources) -> None:
    for metric in ("accuracy", "auc"):
        found = of(sources, Difference(run="net", other="net-seed1", task="class", metric=metric))
        alone = [of(sources, Classes(run=run, metric=metric)) for run in ("net", "net-seed1")]
        assert found.measured_correct == pytest.approx(alone[0].measured_correct - alone[1].measured_correct)
        assert found.ci_low < found.measured_correct < found.ci_high
        assert (found.n, found.protocol_correct) == (48, alone[0].protocol_correct)
    same = of(sources, Difference(run="net", other="net", task="class", metric="auc"))
    assert (same.measured_correct, same.ci_low, same.ci_high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("pair", "what", "message"),
    [
        (("net", "absent"), ("infection", "dice", "img_covid"), "run absent has no"),
        (("net", "three"), ("class", "auc"), "different classes"),
        (("net", "masks"), ("class", "auc"), "no class output"),
        (("net", "masks"), ("infection", "dice", "batch8_seq"), "averages no images"),
        (("net", "masks"), ("lung", "dice", "img_covid"), "no task 'lung'"),
    ],
)
def test_difference_says_why_it_is_empty(
    sources: Sources, pair: tuple[str, str], what: tuple[str, ...], message: str
) -> None:
    asked = dict(zip(("task", "metric", "protocol"), what, strict=False))
    found = of(sources, Difference(run=pair[0], other=pair[1], **asked))
    assert not found.measured
    assert found.status == ("not run" if "absent" in pair else "undefined")
    assert message in found.note


def test_each_value_has_the_interval_of_its_own_statistic(sources: Sources) -> None:
    scores, config = sources.scores("net"), EVALUATE.bootstrap
    both = of(sources, Mask(run="net", metric="dice", paper="img_all_e1", correct="img_covid"))
    for protocol, found in (
        ("img_all_e1", (both.measured_paper, both.paper_low, both.paper_high)),
        ("img_covid", (both.measured_correct, both.ci_low, both.ci_high)),
    ):
        values = protocols.per_image(protocol, scores, "infection")["dice"].to_numpy()
        assert found == bootstrap_mean(values, config)
    blank = of(sources, Mask(run="net", metric="dice", paper="img_all_e1", label="Normal", percent=True))
    share = 100 * np.mean(scores.loc[scores["label"] == "Normal", "infection_fp"] == 0)
    assert blank.measured_paper == pytest.approx(share) and blank.paper_low < share < blank.paper_high
    batches = of(sources, Mask(run="net", metric="dice", paper="batch8_seq", correct="pooled_all"))
    rows = protocols.per_batch(scores, "infection", 8)["dice"].to_numpy()
    assert batches.measured_paper == pytest.approx(rows.mean())
    assert rows.min() < batches.paper_low < rows.mean() < batches.paper_high < rows.max()
    assert (batches.paper_low, batches.paper_high) != (batches.ci_low, batches.ci_high)
    ranked = of(sources, Classes(run="net", metric="auc", paper=True))
    assert (ranked.paper_low, ranked.paper_high) == (ranked.ci_low, ranked.ci_high) != (None, None)
    mean = means(sources, Mask(run="net", metric="dice", paper="img_all_e1"))
    assert mean.seeds == 3 and (mean.paper_low, mean.paper_high) == (None, None)


def test_prevalence_is_the_accuracy_of_one_answer_for_all(sources: Sources) -> None:
    found = of(sources, Prevalence(run="net", percent=True))
    assert (found.measured_correct, found.n, found.unit) == (100 * 30 / 48, 48, "percent")


@pytest.mark.parametrize(
    ("measure", "keys", "message"),
    [
        (Mask, {"metric": "dice"}, "needs a protocol"),
        (Mask, {"metric": "dice", "paper": "img_covd"}, "no protocol is called 'img_covd'"),
        (Mask, {"metric": "precision", "paper": "img_smooth1"}, "img_smooth1 has no 'precision'"),
        (Mask, {"metric": "area_median", "correct": "img_covid"}, "img_covid has no 'area_median'"),
        (Classes, {"metric": "recall"}, "no 'recall' of classes"),
        (Loss, {"tsk": "lung"}, "Extra inputs"),
    ],
)
def test_a_measure_that_cannot_be_is_refused(measure: type[Measure], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure(run="net", **keys)
