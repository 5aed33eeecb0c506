"""Every setting of every run has one origin, and titles say `instead of` for what a paper says or implies only."""

from collections.abc import Iterator
from typing import Any

import pytest

from covidqu.config.params import Params, load
from covidqu.report.core.provenance import deviations, entries, fixed, overlay_of, provenance, read, value_at
from covidqu.report.core.published import OUR_SYSTEM, SHOWN, printed
from covidqu.report.core.titles import of_settings
from support.places import ROOT

OVERLAYS = ROOT / "workflow/overlays"

TECHNICAL = ("accelerator", "devices", "threads", "deterministic")  # where and how fast, not what


def loaded(*overlays: str) -> Params:
    return load([ROOT / "params.yaml", *(OVERLAYS / f"{name}.yaml" for name in overlays)])


def leaves(node: Any, key: str = "") -> Iterator[str]:
    """Dotted keys of a configuration; lists of parts by their kind, `rates` as a whole."""
    if isinstance(node, dict) and key != "rates":
        for name, value in node.items():
            yield from leaves(value, f"{key}.{name}" if key else name)
    elif isinstance(node, list) and node and isinstance(node[0], dict):
        for item in node:
            yield from leaves({k: v for k, v in item.items() if k != "kind"}, f"{key}.{item['kind']}")
    else:
        yield key


FULL = loaded("optional")


@pytest.mark.parametrize("run", FULL.base_runs)
def test_every_setting_of_a_run_has_one_entry_with_its_value(run: str) -> None:
    config, known = FULL.run(run).model_dump(mode="json"), entries(run)
    wanted = sorted(set(leaves(config)) - {*TECHNICAL, "model.system"})
    found = {leaf: [key for key in known if leaf == key or leaf.startswith(f"{key}.")] for leaf in wanted}
    wrong = {leaf: keys for leaf, keys in found.items() if len(keys) != 1}
    assert not wrong, f"want one entry each, in the system's file of src/covidqu/report/settings: {wrong}"
    assert {key: value_at(config, key) for key in known} == {key: entry.value for key, entry in known.items()}
    assert deviations(FULL, run) == {}


def test_every_run_is_in_one_file_and_in_the_overlay_that_it_names() -> None:
    listed = [(system, run) for system in SHOWN for run in read(system).runs]
    assert len({run for _, run in listed}) == len(listed)
    for system, run in listed:
        overlay = overlay_of(run)
        params = load([ROOT / "params.yaml", *([ROOT / overlay] if overlay else [])])
        assert params.run(run).model.system.replace("_", "-") == system
        assert (run in loaded().resolved) == (overlay is None)


def test_nothing_of_ours_is_stated_or_inferred() -> None:
    for run in read(OUR_SYSTEM).runs:
        assert {entry.how for entry in entries(run).values()} == {"chosen"}
    assert {entry.how for entry in read("common").settings.values()} == {"chosen"}


def test_titles_say_instead_of_only_for_what_a_paper_says() -> None:
    lite = loaded("lite")
    for run in lite.base_runs:
        for setting in deviations(lite, run).values():
            assert ("instead of" in setting.words) == (setting.how != "chosen") == ("full size" not in setting.words)
    (words,) = of_settings(deviations(lite, "unet-roi-infection"))
    assert words.startswith("REDUCED RUN (image_px 128 instead of 256; model.width 16 (full size: 64); ")
    assert "epochs 8 (full size: 30); optimizer.lr 0.001 (full size: 0.0001)" in words


def test_what_the_paper_states_otherwise_is_there() -> None:
    """The deviations that only the code makes; each says the paper's value, ours, and why."""
    assert fixed("cbam-mtl")["augmented set"].ours == "one new draw per image and epoch, Train only"
    assert fixed("cbam-mtl")["data split"].value == "60/20/20"
    assert "Glorot" in fixed("recon-mtl")["first values"].value
    assert fixed("unet-roi")["threshold of masks"].value == "0.5"


def test_another_seed_is_the_same_run_again() -> None:
    assert deviations(FULL, "reference-seed2") == {}


def test_an_older_card_does_not_hide_what_differs() -> None:
    config = FULL.run("swin-dual-lung").model_dump(mode="json")
    del config["model"]["final_norm"]
    config["loss"] = {"lung": config["loss"]["lung"]}
    config["epochs"] = 3
    found = deviations(FULL, "swin-dual-lung", config)
    assert {key: setting.actual for key, setting in found.items()} == {
        "epochs": 3,
        "loss.class.cross_entropy.weight": None,
    }
    assert len(provenance(FULL, "swin-dual-lung", config)) == len(entries("swin-dual-lung")) - 1


@pytest.mark.parametrize(
    ("run", "encoder", "decoders", "total"),
    [
        ("swin-dual-infection", 27_522_474, 14_771_888, 44_089_967),
        ("swin-dual-infection-window7", 27_516_282, 14_774_768, 44_086_655),
    ],
)
def test_both_windows_meet_the_printed_counts(run: str, encoder: int, decoders: int, total: int) -> None:
    from covidqu.report.papers.param_counts import TABLE, rounds_to
    from covidqu.steps.architectures import describe

    found = describe(FULL.run(run), {})["paper"]
    parts = {part["name"]: part["parameters"] for part in found["parts"]} | {"total": found["parameters"]}
    assert (parts["encoder"], parts["dual decoders"], parts["total"]) == (encoder, decoders, total)
    stated = printed(TABLE)
    assert len(stated) == 6
    for (row, _), value in stated.items():
        assert rounds_to(parts[row], str(value)), (row, parts[row], value)
    assert found["layers"] and sum(layer["parameters"] for layer in found["layers"]) == total
