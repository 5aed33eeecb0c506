"""params.yaml: every fault is found before a job starts, with its path and what would be right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from covidqu.config import base, data, evaluation, params, training
from covidqu.config.base import FORBIDDEN_NAMES, Strict

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def raw() -> dict[str, Any]:
    return params.read([ROOT / "params.yaml"])


@pytest.mark.parametrize("overlay", sorted((ROOT / "workflow" / "overlays").glob("*.yaml")), ids=lambda p: p.stem)
def test_params_and_overlays_are_valid(overlay: Path) -> None:
    loaded = params.load([ROOT / "params.yaml", overlay])
    only_adds = set(yaml.safe_load(overlay.read_text())) == {"include"}
    assert only_adds or loaded.paths.results != "results", "an overlay must not write into the full run's results"
    assert only_adds or loaded.paths.data != "data"


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(raw: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for part in parents:
            raw = raw[int(part)] if isinstance(raw, list) else raw[part]
        raw[last] = value

    return apply


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (change("audit.copies.inlier", 1), ["audit.copies.inlier", "unknown key", "inliers"]),
        (change("runs.unetpp-b3.epoch", 3), ["runs.unetpp-b3.epoch", "unknown key", "epochs"]),
        (change("anchor.epochs", "many"), ["runs.unet-roi-lung.epochs", "integer", "'many'"]),
        (change("download.kaggle.sha256", "abc"), ["download.kaggle.sha256"]),
        (change("runs.unet-roi-lung.model.widht", 3), ["runs.unet-roi-lung.model", "widht", "width"]),
        (change("runs.unet-roi-lung.loss.lung.0.wight", 3), ["runs.unet-roi-lung.loss.lung.0", "wight", "smooth"]),
        (change("runs.unet-roi-lung.model.system", "resnet"), ["runs.unet-roi-lung.model", "unet_roi"]),
        (change("runs.unet-roi-infection.init", "nope"), ["runs.unet-roi-infection.init", "'nope'", "unet-roi-lung"]),
        (change("runs.unet-roi-infection.roi", "nope"), ["runs.unet-roi-infection.roi", "ground-truth"]),
        (change("runs.unet-roi-lung.init", "unet-roi-infection"), ["unet-roi-lung -> unet-roi-infection", "cycle"]),
        (change("runs.unet-roi-lung.init", "unet-roi-lung"), ["unet-roi-lung -> unet-roi-lung", "cycle"]),
        (change("roi.predicted", ["unet-roi-lung", "unetpp-b3"]), ["roi.predicted", "unetpp-b3", "lung output"]),
        (change("runs.unetpp-b3.subset", "lung"), ["runs.unetpp-b3.subset", "infection"]),
        (change("full_runs.unetpp-b3.epoch", 3), ["full_runs.unetpp-b3.epoch", "no such setting"]),
        (change("full_runs.unet", {"epochs": 3}), ["full_runs.unet: no such run", "unetpp-b3"]),
        (
            change("ablations.nothing", ["reference", "nope"]),
            ["ablations.nothing: 'nope' is not a run", "infection mask"],
        ),
        (change("ablations.nothing", ["reference-lung", "reference"]), ["ablations.nothing: 'reference-lung'"]),
        (change("ablations.nothing", ["reference"]), ["ablations.nothing"]),
        (change("anchor.optimizer.lr", "1e-4x"), ["optimizer", "lr"]),
    ],
)
def test_a_fault_names_path_and_remedy(raw: dict[str, Any], edit: Callable[[Any], None], wanted: list[str]) -> None:
    edit(raw)
    with pytest.raises(ValueError) as caught:
        params.check(raw)
    for text in wanted:
        assert text in str(caught.value)


def test_all_faults_are_listed_at_once(raw: dict[str, Any]) -> None:
    change("runs.unetpp-b3.epoch", 3)(raw)
    change("runs.unet-roi-lung.bach", 3)(raw)
    with pytest.raises(ValueError, match=r"(?s)bach.*epoch"):
        params.check(raw)


def test_missing_key_and_broken_file(raw: dict[str, Any], tmp_path: Path) -> None:
    del raw["evaluate"]
    with pytest.raises(ValueError, match="evaluate: required key is missing"):
        params.check(raw)
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(ValueError, match=r"broken\.yaml.*not valid YAML"):
        params.load([broken])
    with pytest.raises(ValueError, match=r"gone\.yaml: no such parameter file"):
        params.load([tmp_path / "gone.yaml"])


def test_another_kind_replaces_instead_of_merging() -> None:
    merged = params.merge(
        {"optimizer": {"kind": "adamw", "lr": 1, "weight_decay": 2}}, {"optimizer": {"kind": "adam", "lr": 3}}
    )
    assert merged == {"optimizer": {"kind": "adam", "lr": 3}}


def test_a_run_that_an_overlay_nulls_leaves_no_trace(raw: dict[str, Any], tmp_path: Path) -> None:
    """Its full run and the ablations that name it go with it; all others stay."""
    overlay = tmp_path / "without.yaml"
    overlay.write_text("runs: {reference-no-gate: null}\n")
    loaded = params.load([ROOT / "params.yaml", overlay])
    gone = {"reference-no-gate"}
    assert raw["runs"].keys() - loaded.runs.keys() == raw["full_runs"].keys() - loaded.full_runs.keys() == gone
    lost = {part for part, pair in raw["ablations"].items() if "reference-no-gate" in pair}
    assert (
        raw["ablations"].keys() - loaded.ablations.keys() == lost == {"gate by its own lungs", "lung and class heads"}
    )
    overlay.write_text("runs: {reference-lung: null}\n")
    with pytest.raises(ValueError, match=r"init: 'reference-lung' is neither initial weights nor a run"):
        params.load([ROOT / "params.yaml", overlay])


def test_the_committed_runs_are_the_full_ones(raw: dict[str, Any]) -> None:
    loaded = params.check(raw)
    for name, run in loaded.resolved.items():
        assert training.deviations(run.model_dump(mode="json"), loaded.full(name)) == {}


def test_a_changed_setting_is_a_deviation(raw: dict[str, Any]) -> None:
    change("runs.unetpp-b3.epochs", 3)(raw)
    change("runs.unetpp-b3.optimizer.lr", 0.1)(raw)
    loaded = params.check(raw)
    found = training.deviations(loaded.run("unetpp-b3").model_dump(mode="json"), loaded.full_runs["unetpp-b3"])
    assert found == {"epochs": (3, 30), "optimizer.lr": (0.1, 3e-4)}


def test_the_names_that_dvc_overlooks_are_forbidden(raw: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="run cache"):

        class Bad(Strict):
            size: int

    def keys(node: Any) -> set[str]:
        if isinstance(node, dict):
            return set(node) | {k for v in node.values() for k in keys(v)}
        return {k for v in node for k in keys(v)} if isinstance(node, list) else set()

    assert not keys(raw) & set(FORBIDDEN_NAMES)


def test_numbers_mean_the_same_to_both_engines() -> None:
    """PyYAML reads 1e-4 as text, DVC as a number: the file must spell 1.0e-4."""
    from ruamel.yaml import YAML

    for file in [ROOT / "params.yaml", *(ROOT / "workflow" / "overlays").glob("*.yaml")]:
        ours, theirs = yaml.safe_load(file.read_text()), YAML(typ="safe").load(file.read_text())
        assert params.canonical(ours) == params.canonical(theirs)


def test_pick_ignores_order_only(raw: dict[str, Any]) -> None:
    assert params.pick({"a": {"x": 1, "y": 2}}, "a") == params.pick({"a": {"y": 2, "x": 1}}, "a")
    assert params.pick({"a": {"x": 1, "y": 2}}, "a") != params.pick({"a": {"x": 2, "y": 1}}, "a")


def test_modules_hold_no_module_of_another_room() -> None:
    """A data step must not depend on training settings, or an edit there would repack the data."""
    for module in (base, data, evaluation, training):
        text = Path(module.__file__).read_text()
        others = {"data", "evaluation", "training", "params"} - {module.__name__.rsplit(".", 1)[1]}
        assert not [o for o in others if f"covidqu.config.{o}" in text]
