"""Table and figure of ablations, from frames whose Dice, shares and accuracies are known by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t, wilcoxon

from covidqu.config.params import Params
from covidqu.report import catalogue
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.sources import Sources
from covidqu.report.figures import figure
from covidqu.report.systems import ablations
from covidqu.report.systems.ablations import (
    ACCURACY,
    BEYOND,
    DICE,
    FALSE_INFECTION,
    LUNG,
    NOISE,
    SPREAD,
    WITH,
    WITHOUT,
    P,
)
from covidqu.report.tables import build
from support.synthetic_runs import cell, settings

NORMAL, PNEUMONIA = FALSE_INFECTION
LABELS = ["COVID-19"] * 3 + ["Normal"] * 2 + ["Non-COVID"] * 2
PX = 256 * 256
DICE_AS = {1.0: (4000, 0, 0), 0.8: (4000, 1000, 1000), 0.5: (2000, 2000, 2000), 0.25: (1000, 3000, 3000)}
GATE, HEADS, FLIP = "gate by its own lungs", "lung and class heads", "mirror image at test time"
KEPT = ("reference-lung", "reference", "reference-no-gate", "reference-one-task", "reference-no-flip")


def frame(dice: list[float], painted: list[int], lung: int, right: int, *, tasks: tuple[str, ...]) -> pd.DataFrame:
    """Seven Val images: Dice of the three with infection, false pixels of the others, lung pixels hit of 10,000 in
    each, and how many images the class head has right.
    """
    infection = np.array([DICE_AS[value] for value in dice] + [(0, pixels, 0) for pixels in painted])
    lungs = np.tile([lung, 10000 - lung, 10000 - lung], (7, 1))
    found = pd.DataFrame({"id": [f"infection/Val/{i}" for i in range(7)], "label": LABELS, "lung_area_px": 10000})
    for task, counts in (("infection", infection), ("lung", lungs)):
        if task in tasks:
            found[[f"{task}_tp", f"{task}_fp", f"{task}_fn"]] = counts
            found[f"{task}_tn"] = PX - counts.sum(axis=1)
    if "class" in tasks:
        target = np.array([{"Normal": 0, "Non-COVID": 1, "COVID-19": 2}[label] for label in LABELS])
        decided = np.where(np.arange(7) < right, target, (target + 1) % 3)
        found[[f"class_logit_{k}" for k in range(3)]] = 4.0 * (decided[:, None] == np.arange(3))
        found["class_target"] = target
    return found


FRAMES = {
    "reference": ([1.0, 0.8, 0.5], [700, 600, 0, 0], 9000, 7),
    "reference-no-gate": ([0.5, 0.8, 0.25], [700, 700, 700, 600], 8000, 4),
    "reference-one-task": ([0.5, 0.8, 0.5], [700, 700, 700, 700], 8000, 4),
    "reference-no-flip": ([1.0, 0.5, 0.5], [700, 0, 0, 0], 9000, 7),
}


def params_of(*more: str, **changes: object) -> Params:
    every = settings().ablations.values()
    left_out = {run for pair in every for run in pair} - {*KEPT, *more}
    return settings(runs=dict.fromkeys(left_out), **changes)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """validation.parquet and card.json of four runs; images of one of them in another order."""
    params = params_of()
    for run, values in FRAMES.items():
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        found = frame(*values, tasks=params.run(run).tasks)
        found.sample(frac=1, random_state=1 if run == "reference-no-gate" else 0).to_parquet(
            folder / "validation.parquet"
        )
        card = {"config": params.run(run).model_dump(mode="json") | {"epochs": 4 if run == "reference-no-gate" else 60}}
        card |= {"epochs_run": 3, "best_epoch": 2}
        (folder / "card.json").write_text(json.dumps(card))
    return tmp_path


def test_differences_by_hand(results: Path) -> None:
    built = build(Sources(params_of(), results, results), "common/ablations")
    values = {
        column: cell(built, GATE, column) for column in (WITH, WITHOUT, DICE, P, *FALSE_INFECTION, LUNG, ACCURACY)
    }
    assert {column: found.measured_correct for column, found in values.items()} == {
        WITH: pytest.approx(2.3 / 3),
        WITHOUT: pytest.approx(1.55 / 3),
        DICE: pytest.approx(0.75 / 3),
        P: pytest.approx(wilcoxon([0.5, 0, 0.25], zero_method="pratt").pvalue),
        NORMAL: pytest.approx(1 / 2 - 1),
        PNEUMONIA: pytest.approx(0 - 1 / 2),
        LUNG: pytest.approx(0.1),
        ACCURACY: pytest.approx(3 / 7),
    }
    counts = {column: found.n for column, found in values.items()}
    assert counts == {WITH: 3, WITHOUT: 3, DICE: 3, P: 3, NORMAL: 2, PNEUMONIA: 2, LUNG: 7, ACCURACY: 7}
    assert {found.split for found in values.values()} == {"deduplicated Val"}
    assert values[DICE].ci_low < 0.25 < values[DICE].ci_high <= 0.5
    assert values[DICE].note == "reference minus reference-no-gate, paired over images"
    assert (values[WITH].run, values[WITHOUT].run) == ("reference", "reference-no-gate")
    assert "epochs 4 (full size: 60)" in built.heading.text and "on validation images" in built.heading.text
    assert "not over trainings" in " ".join(built.remarks)


def test_the_sign_turns_with_the_pair(results: Path) -> None:
    params = params_of(ablations={GATE: ["reference-no-gate", "reference"]})
    built = build(Sources(params, results, results), "common/ablations")
    assert cell(built, GATE, DICE).measured_correct == pytest.approx(-0.25)
    assert cell(built, GATE, NORMAL).measured_correct == pytest.approx(0.5)


def test_what_a_pair_does_not_have(results: Path) -> None:
    built = build(Sources(params_of(), results, results), "common/ablations")
    assert {c.row for c in built.cells} == {GATE, HEADS, FLIP, NOISE}
    assert cell(built, HEADS, DICE).measured_correct == pytest.approx(-0.25 / 3)
    assert cell(built, HEADS, LUNG).words == "no such output: run reference-one-task has no lung mask"
    assert (
        cell(built, HEADS, ACCURACY).words == "no such output: run reference-one-task does not tell three classes apart"
    )
    assert cell(built, FLIP, DICE).note.endswith("paired over images; the same weights")
    assert "the same weights" not in cell(built, GATE, DICE).note


def test_a_run_that_was_not_validated_is_not_run(results: Path, tmp_path: Path) -> None:
    (results / "runs/reference-no-gate/validation.parquet").unlink()
    params = params_of()
    sources = Sources(params, results, results)
    built, reason = build(sources, "common/ablations"), "not run: run reference-no-gate has no validation.parquet"
    assert {cell(built, GATE, c).words for c in (WITHOUT, DICE, P, BEYOND, *FALSE_INFECTION, LUNG, ACCURACY)} == {
        reason
    }
    assert cell(built, GATE, WITH).measured_correct == pytest.approx(2.3 / 3)
    assert sources.validation("reference-no-gate") is None and sources.why_no_validation("reference") is None
    with pytest.raises(ValueError, match=r"reference-no-gate: run .* has no validation.parquet; run its `validate` st"):
        figure(Sources(params, results, results), "common/ablations", tmp_path / "f.svg")


def with_seeds(results: Path, values: dict[str, list[float]]) -> Sources:
    """The runs of `results`, and others with these Dice values of the three infected images."""
    params = params_of(*(run for run in values if "seed" in run))
    for run, dice in values.items():
        folder = results / "runs" / run
        folder.mkdir(exist_ok=True)
        frame(dice, [0] * 4, 9000, 7, tasks=params.run(run).tasks).to_parquet(folder / "validation.parquet")
        (folder / "card.json").write_text(
            json.dumps({"config": params.run(run).model_dump(mode="json"), "epochs_run": 3, "best_epoch": 2})
        )
    return Sources(params, results, results)


def test_a_part_must_do_more_than_seeds(results: Path) -> None:
    """Means over three images: 2.3 / 3 (reference), 2.1 / 3 and 2.5 / 3: SD 0.2 / 3, t of two degrees of freedom."""
    sources = with_seeds(results, {"reference-seed1": [0.8, 0.8, 0.5], "reference-seed2": [1.0, 1.0, 0.5]})
    built = build(sources, "common/ablations")
    reach = t.ppf(0.975, 2) * 2**0.5 * 0.2 / 3
    found = cell(built, NOISE, SPREAD)
    assert (found.measured_correct, found.seeds) == (pytest.approx(0.2 / 3), 3)
    assert found.note.endswith(f"two trainings differ by up to {reach:.3f} in 95 of 100 cases")
    assert cell(built, GATE, DICE).measured_correct < reach and cell(built, GATE, BEYOND).measured_correct == "no"
    assert cell(built, FLIP, BEYOND).note == "the same weights: no training stands between"
    assert cell(built, "chance of training, seed 1", BEYOND).words == "not applicable: another seed, no part"


def test_seeds_that_agree_tell_a_part_from_chance(results: Path) -> None:
    """The gate's difference of 0.25 is also 0 in many resamples of its three images: 0.5, 0, 0.25."""
    same = {f"reference-seed{seed}": [1.0, 0.8, 0.5] for seed in (1, 2)}
    assert cell(build(with_seeds(results, same), "common/ablations"), GATE, BEYOND).measured_correct == "no"
    worse = same | {"reference-no-gate": [0.5, 0.25, 0.25]}
    assert cell(build(with_seeds(results, worse), "common/ablations"), GATE, BEYOND).measured_correct == "yes"


def test_two_seeds_are_too_few(results: Path) -> None:
    built = build(with_seeds(results, {"reference-seed1": [0.8, 0.8, 0.5]}), "common/ablations")
    assert cell(built, NOISE, SPREAD).note == "2 trainings of reference; too few seeds to tell"
    assert cell(built, GATE, BEYOND).words == "undefined: too few seeds to tell (2 trainings of reference)"
    assert cell(built, NOISE, SPREAD).measured_correct == pytest.approx(0.2 / 3 / 2**0.5)


def test_figure_is_sorted_by_effect_and_shows_the_cells(results: Path, tmp_path: Path) -> None:
    params = params_of()
    drawn = ablations.figure(Sources(params, results, results), Wanted([], "words"))
    left, *others = drawn.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [HEADS, FLIP, GATE]
    effects = [-0.25 / 3, 0.1, 0.25], [0.0, 0.0, -0.5], [-0.5, 0.0, -0.5]
    for axes, wanted in zip((left, *others), effects, strict=True):
        zero, bars = axes.lines[0], axes.lines[1]
        assert list(zero.get_xdata()) == [0, 0]
        np.testing.assert_allclose(bars.get_xdata(), wanted, atol=1e-12)
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert sum(len(line.get_xdata()) for line in dots) == 3
    figure(Sources(params, results, results), "common/ablations", tmp_path / "f.svg")
    assert b"<svg" in (tmp_path / "f.svg").read_bytes()


def test_targets_name_what_is_read() -> None:
    params = params_of()
    assert params.ablated == list(KEPT[1:])
    for one in (catalogue.table("common/ablations", params), catalogue.figure("common/ablations", params)):
        assert one.behind(params) == list(KEPT)
        assert [file.split("/")[1] for file in one.results(params) if "validation" in file] == params.ablated
    assert not any("validation" in file for file in catalogue.table("common/pairwise", params).results(params))
    none = params.model_copy(update={"ablations": {}})
    assert "common/ablations" not in catalogue.tables(none) and "common/ablations" not in catalogue.figures(none)
