"""params.yaml: every fault is found before a job starts, with its path and what would be right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from covidqu.config import params
from covidqu.config.base import FORBIDDEN_NAMES, Strict
from covidqu.config.shown import shown
from covidqu.imports import step_files
from support.places import ROOT


@pytest.fixture
def raw() -> dict[str, Any]:
    return params.read([ROOT / "params.yaml"])


@pytest.mark.parametrize("overlay", sorted((ROOT / "workflow" / "overlays").glob("*.yaml")), ids=lambda p: p.stem)
def test_params_and_overlays_are_valid(overlay: Path) -> None:
    loaded = params.load([ROOT / "params.yaml", overlay])
    only_adds = set(yaml.safe_load(overlay.read_text())) == {"runs"}
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
        (change("anchor.epochs", "many"), ["anchor.epochs", "integer", "'many'"]),
        (change("anchor.epoch", 3), ["anchor.epoch: unknown key", "epochs"]),
        (change("systems.unet_roi.epoch", 3), ["systems.unet_roi.epoch: unknown key", "epochs"]),
        (change("anchor.seeds", [3]), ["anchor.seeds: unknown key"]),
        (change("download.kaggle.sha256", "abc"), ["download.kaggle.sha256"]),
        (
            change("systems.unet_roi.model.widht", 3),
            ["systems.unet_roi.model.widht: unknown key", "width", "(in runs unet-roi-lung, "],
        ),
        (change("runs.unet-roi-lung.loss.lung.0.wight", 3), ["runs.unet-roi-lung.loss.lung.0", "wight", "smooth"]),
        (change("runs.unet-roi-lung.system", "resnet"), ["runs.unet-roi-lung.system: 'resnet'", "unet_roi"]),
        (change("runs.unet-roi-lung.seed", 3), ["runs.unet-roi-lung.seed: write seeds: [3]"]),
        (change("runs.reference.seeds", []), ["runs.reference.seeds: []"]),
        (change("runs.reference.seeds", [1, 1]), ["runs.reference.seeds: [1, 1]"]),
        (change("runs.reference.seeds", "many"), ["runs.reference.seeds: 'many'"]),
        (
            change("runs.reference-seed1", {"system": "reference", "init": "random", "roi": "whole"}),
            ["'reference-seed1' is a training of run reference as well"],
        ),
        (change("runs.unet-roi-infection.init", "nope"), ["runs.unet-roi-infection.init", "'nope'", "unet-roi-lung"]),
        (change("runs.unet-roi-infection.roi", "nope"), ["runs.unet-roi-infection.roi", "ground-truth"]),
        (change("runs.unet-roi-lung.init", "unet-roi-infection"), ["unet-roi-lung -> unet-roi-infection", "cycle"]),
        (change("runs.unet-roi-lung.init", "unet-roi-lung"), ["unet-roi-lung -> unet-roi-lung", "cycle"]),
        (change("roi.predicted", ["unet-roi-lung", "unetpp-b3"]), ["roi.predicted", "unetpp-b3", "lung output"]),
        (change("runs.unetpp-b3.subset", "lung"), ["runs.unetpp-b3.subset", "infection"]),
        (
            change("ablations.nothing", ["reference", "nope"]),
            ["ablations.nothing: 'nope' is not a run", "infection mask"],
        ),
        (change("ablations.nothing", ["reference-lung", "reference"]), ["ablations.nothing: 'reference-lung'"]),
        (change("ablations.nothing", ["reference"]), ["ablations.nothing"]),
        (change("systems.unetpp_b3.optimizer.lr", "1e-4x"), ["optimizer", "lr"]),
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
    """The ablations that name it go with it; all others stay."""
    overlay = tmp_path / "without.yaml"
    overlay.write_text("runs: {reference-no-gate: null}\n")
    loaded = params.load([ROOT / "params.yaml", overlay])
    gone = {"reference-no-gate"}
    assert raw["runs"].keys() - loaded.runs.keys() == gone
    lost = {part for part, pair in raw["ablations"].items() if "reference-no-gate" in pair}
    assert (
        raw["ablations"].keys() - loaded.ablations.keys() == lost == {"gate by its own lungs", "lung and class heads"}
    )
    overlay.write_text("runs: {reference-lung: null}\n")
    with pytest.raises(ValueError, match=r"init: 'reference-lung' is neither initial weights nor a run"):
        params.load([ROOT / "params.yaml", overlay])


def test_parameter_files_have_no_aliases() -> None:
    for file in (ROOT / "params.yaml", *(ROOT / "workflow/overlays").glob("*.yaml")):
        events = list(yaml.parse(file.read_text()))
        assert not [e for e in events if isinstance(e, yaml.AliasEvent) or getattr(e, "anchor", None)], file
        assert not [e for e in events if getattr(e, "value", None) == "<<"], file


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "anchor: {seed: 7}\nreport: {}\nanchor: {batch: 2}\n",
            "over.yaml: the key 'anchor' stands in line 1 and in line 3",
        ),
        ("anchor:\n  seed: 7\n  batch: 2\n  seed: 8\n", "over.yaml: the key 'seed' stands in line 2 and in line 4"),
        ("runs:\n  a: &x {batch: 1}\n  b: *x\n", "over.yaml, line 3: a YAML alias"),
        ("runs:\n  b: {<<: {batch: 1}}\n", "over.yaml, line 2: a YAML merge key"),
    ],
)
def test_what_yaml_would_lose_or_share_is_refused(tmp_path: Path, text: str, wanted: str) -> None:
    file = tmp_path / "over.yaml"
    file.write_text(text)
    with pytest.raises(ValueError) as caught:
        params.read([ROOT / "params.yaml", file])
    assert wanted in str(caught.value) and str(file) in str(caught.value)


@pytest.mark.parametrize("name", ["a b", "a;b", "a'b", "-x", "a/b", "a.b", "", "../x", "x$HOME", "a\nb"])
def test_names_are_words_to_the_shell(raw: dict[str, Any], name: str) -> None:
    for key in ("runs", "baselines"):
        wrong = raw | {key: raw[key] | {name: next(iter(raw[key].values()))}}
        with pytest.raises(ValueError, match=rf"(?s){key}: .*is no name; use letters"):
            params.check(wrong)
    if name != "a.b":  # an encoder's name may have dots
        with pytest.raises(ValueError, match=r"(?s)initial: .*is no name; use letters"):
            params.check(raw | {"initial": [*raw["initial"], name]})


@pytest.mark.parametrize("name", ["ünet", "2024", "unet_roi-2"])
def test_plain_names_are_taken(raw: dict[str, Any], name: str) -> None:
    assert name in params.check(raw | {"runs": raw["runs"] | {name: raw["runs"]["unetpp-b3"]}}).resolved


@pytest.mark.parametrize("path", ["data/my tiny", "d;echo INJECTED", "d'e", "$HOME/d", "-d", "", "d{run}", "a\nb"])
def test_paths_are_words_to_the_shell(raw: dict[str, Any], path: str) -> None:
    for key in ("data", "results"):
        with pytest.raises(ValueError, match=rf"paths\.{key}: the shell would not take it as one word"):
            params.check(raw | {"paths": raw["paths"] | {key: path}})


def test_seeds_are_trainings_that_differ_in_nothing_else(raw: dict[str, Any]) -> None:
    loaded = params.check(raw)
    assert loaded.seeds("reference") == ["reference", "reference-seed1", "reference-seed2"]
    assert [loaded.run(name).seed for name in loaded.seeds("reference")] == [0, 1, 2]
    assert loaded.run("reference-seed2") == loaded.run("reference").model_copy(update={"seed": 2})
    assert loaded.seeds("unetpp-b3") == ["unetpp-b3"] and loaded.base("reference-seed2") == "reference"
    assert list(loaded.only(["reference-seed1"]).resolved) == ["reference-seed1"]


def test_null_takes_a_task_out(raw: dict[str, Any]) -> None:
    loaded = params.check(raw)
    assert loaded.run("recon-mtl-t123").tasks == ("reconstruction", "infection", "class")
    assert loaded.run("recon-mtl-t12").tasks == ("reconstruction", "infection")
    assert loaded.run("reference-lung").tasks == ("lung", "class")


def test_a_whole_run_is_shown_with_its_sources() -> None:
    overlay = ROOT / "workflow/overlays/lite.yaml"
    files = [ROOT / "params.yaml", overlay]
    loaded = params.load(files)
    for name in ("reference-seed1", "recon-mtl-cnn8", "unet-roi-lung"):
        assert yaml.safe_load(shown(loaded, files, name)) == loaded.run(name).model_dump(mode="json")
    lines = shown(loaded, files, "reference-seed1").splitlines()
    for wanted in (
        "init: reference-lung  # runs.reference",
        f"seed: 1  # runs.reference ({overlay})",
        f"epochs: 5  # systems.reference ({overlay})",
        "evaluate_px: 256  # anchor",
        f"image_px: 128  # anchor ({overlay})",
        "  system: reference  # runs.reference.system",
    ):
        assert wanted in lines, wanted


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


@pytest.mark.parametrize(
    ("steps", "settings"),
    [
        (("source", "download", "pack", "audit", "split", "roi", "roi_predicted"), {"data"}),
        (("train",), {"data", "models", "training", "machine"}),
        (("score",), {"data", "evaluation"}),
    ],
)
def test_a_step_depends_on_its_own_settings_alone(steps: tuple[str, ...], settings: set[str]) -> None:
    """Were it otherwise, an edit of the settings of trainings would pack the data again."""
    for step in steps:
        needed = {Path(file).stem for file in step_files(step) if Path(file).parent.name == "config"}
        assert needed <= {"base", *settings}, step
