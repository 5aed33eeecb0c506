"""The listing shows what the settings and the result folders say, and needs PyTorch only when nothing is described."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from covidqu.config.params import Params, check, merge, read
from covidqu.report.core.provenance import full
from covidqu.steps.architectures import describe
from covidqu.steps.listing import listing, origin
from support.places import ROOT

SMALL = {
    "runs": {
        "unet-roi-lung": {"model": {"width": 8}},
        "unet-roi-infection": {"init": "random"},
        "swin-dual-lung": {"image_px": 64},
    }
}
STATE = 99  # where the last column starts
COUNT = {"parameters": 4321, "paper": {"parameters": 87654}}


@pytest.fixture(scope="module")
def params() -> Params:
    return check(merge(read([ROOT / "params.yaml"]), SMALL))


def fake(params: Params) -> dict[str, Any]:
    """Descriptions with counts that no network has."""
    return {
        name: {
            "net": "some net",
            "model": run.model.model_dump(mode="json"),
            "tasks": list(run.tasks),
            "input": [1, 3, run.image_px, run.image_px],
            **COUNT,
        }
        for name, run in ((name, params.run(name)) for name in params.base_runs)
    }


@pytest.fixture
def results(tmp_path: Path, params: Params) -> Path:
    (tmp_path / "architectures.json").write_text(json.dumps(fake(params)))
    return tmp_path


def card(results: Path, params: Params, name: str, scored: bool, **changes: Any) -> None:
    folder = results / "runs" / name
    folder.mkdir(parents=True)
    facts = {"epochs_run": 7, "git_commit": "0123456789abcdef-dirty", "device": "NVIDIA H200"}
    (folder / "card.json").write_text(
        json.dumps({"config": params.run(name).model_dump(mode="json") | changes, **facts})
    )
    if scored:
        (folder / "scores.parquet").touch()


def block(text: str, name: str) -> str:
    """Words of one run's entry: from the line that starts with its name to the next entry or section."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split(" ")[0] == name)
    stop = next(
        i for i in range(start + 1, len(lines) + 1) if i == len(lines) or not lines[i] or "configured" in lines[i]
    )
    return "\n".join(lines[start:stop])


def column(text: str, name: str, first: int) -> str:
    """One column of an entry, joined."""
    return " ".join(" ".join(line[first:].strip() for line in block(text, name).splitlines()).split())


def test_every_system_and_base_run_is_listed_within_120_columns(params: Params, results: Path) -> None:
    text = listing(params, results)
    assert max(map(len, text.splitlines())) <= 120
    for word in ("imagenet-efficientnet-b3", "covid_vs_normal", "unet-roi-infection-predicted"):
        assert word in text, "a name that a line break cuts cannot be searched for"
    for system in ("swin-dual", "unetpp-b3", "unet-roi", "cbam-mtl", "recon-mtl"):
        assert f"\n{system}: paper 00" in "\n" + text
    assert "\n\nreference: ours, of no paper\n" in text
    names = [line.split(" ")[0] for line in text.splitlines()]
    assert all(names.count(name) == 1 for name in params.base_runs)
    assert not any("seed1" in name for name in names)
    assert "seeds 0, 1, 2" in block(text, "cbam-mtl-unet-proposed")
    assert all(
        name in " ".join(text.split()) for name in ("recon-mtl-t123-512", "swin-dual-lung-window7", "reference-long")
    )


def test_an_entry_says_what_the_settings_say(params: Params, results: Path) -> None:
    entry = block(listing(params, results), "swin-dual-lung")
    inputs = ["64 px, 3 channels", "ROI whole", "init random"]
    counts = ["configured 4,321", "paper's    87,654", "printed    44.09M"]
    for word in ["some net", "lung", "class three", *inputs, *counts]:
        assert word in entry
    assert "not printed" in block(listing(params, results), "unet-roi-lung")


def test_ours_has_nothing_printed(params: Params, results: Path) -> None:
    entry = block(listing(params, results), "reference")
    assert "configured 4,321" in entry and "full size  87,654" in entry
    assert "print" not in entry and "paper" not in entry


def test_states(params: Params, results: Path) -> None:
    card(results, params, "unetpp-b3", scored=True)
    card(results, params, "unet-roi-lung", scored=False)
    card(results, params, "cbam-mtl-unet-simple-seed1", scored=True, epochs=2)
    text = listing(params, results)
    assert column(text, "swin-dual-lung", STATE) == "not trained"
    assert column(text, "unetpp-b3", STATE) == "trained 7 epochs, 012345678-dirty, NVIDIA H200; scored"
    assert column(text, "unet-roi-lung", STATE).endswith("NVIDIA H200; not scored; reduced: width")
    several = column(text, "cbam-mtl-unet-simple", STATE)
    assert several.startswith("seed 0: not trained seed 1: trained 7 epochs")
    assert several.endswith("scored; reduced: epochs seed 2: not trained")


def test_a_card_without_a_setting_of_today_is_no_obstacle(params: Params, results: Path) -> None:
    card(results, params, "unetpp-b3", scored=True, model={"system": "unetpp_b3"})
    assert column(listing(params, results), "unetpp-b3", STATE).endswith("card of an older version")


def test_a_description_of_other_settings_is_not_believed(params: Params, results: Path) -> None:
    stale = fake(params)
    stale["unet-roi-lung"]["model"]["width"] = 4
    (results / "architectures.json").write_text(json.dumps(stale))
    run = params.run("unet-roi-lung")
    built = describe(run, full(params, "unet-roi-lung"))
    entry = block(listing(params, results), "unet-roi-lung")
    assert f"configured {built['parameters']:,}" in entry
    assert "paper's    31,036,481" in entry


def test_a_broken_description_is_refused(params: Params, tmp_path: Path) -> None:
    (tmp_path / "architectures.json").write_text("{")
    with pytest.raises(ValueError, match=r"architectures\.json: damaged \(not valid JSON"):
        listing(params, tmp_path)


def test_no_torch_with_a_description(params: Params, results: Path) -> None:
    (results / "params.json").write_text(params.model_dump_json())
    code = (
        "import sys, json, pathlib; from covidqu.config.params import check; "
        "from covidqu.steps.listing import listing; "
        "folder = pathlib.Path(sys.argv[1]); listing(check(json.loads((folder / 'params.json').read_text())), folder); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, results], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_network_of_no_paper_is_ours() -> None:
    """Before it has printed values, or if it never will: CONTRIBUTING, "Add a network"."""
    assert origin("another") == origin("reference") == "ours, of no paper"
    assert origin("unet-roi").startswith("paper 002, ")
