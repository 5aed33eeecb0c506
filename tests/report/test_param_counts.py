"""Parameter counts: whole numbers from architectures.json, and whether they round to the printed ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from covidqu.config.params import Params, check, read
from covidqu.report.catalogue import table
from covidqu.report.core.cells import Cell, Table
from covidqu.report.core.heading import Heading
from covidqu.report.core.published import printed
from covidqu.report.core.sources import Sources
from covidqu.report.papers.param_counts import rounds_to
from support.places import ROOT

SPEC = {  # of shared counts: what the exact configuration has
    "encoder": 27_522_474,
    "pyramid pooling": 1_772_544,
    "dual decoders": 14_771_888,
    "lung head": 10_441,
    "infection head": 10_441,
    "classification head": 2_179,
}


@pytest.fixture(scope="module")
def params() -> Params:
    return check(read([ROOT / "params.yaml"]))


def entry(count: int, parts: dict[str, int], total: int) -> dict[str, Any]:
    named = [{"name": name, "parameters": n} for name, n in parts.items()]
    return {
        "net": "some net",
        "input": [1, 1, 64, 64],
        "parameters": count,
        "paper": {"parameters": total, "input": [1, 1, 256, 256], "parts": named, "layers": []},
    }


def written(params: Params, results: Path, found: dict[str, Any]) -> Sources:
    (results / "architectures.json").write_text(json.dumps(found))
    return Sources(params, results, results)


def cells(sources: Sources, name: str) -> dict[tuple[str, str], Cell]:
    return {
        (c.row, c.column): c
        for c in Table(name, Heading("", "", "t"), table(name, sources.params).cells(sources)).cells
    }


def test_parts_are_exact_and_say_whether_they_round_to_the_printed_ones(params: Params, tmp_path: Path) -> None:
    parts = {**SPEC, "lung head": 10_999}
    found = cells(
        written(params, tmp_path, {"swin-dual-infection": entry(7, parts, 44_089_967)}), "swin-dual/table-params"
    )
    encoder = found["encoder", "parameters"]
    assert (encoder.published, encoder.measured_correct) == ("27.52M", 27_522_474)
    assert encoder.note == "rounds to the printed 27.52M"
    assert found["lung head", "parameters"].note == "does not round to 10.44K"
    assert found["total", "parameters"].note == "rounds to the printed 44.09M"
    assert found["pyramid pooling", "parameters"].note == "not printed"
    assert found["total", "parameters of the run"].measured_correct == 7
    assert found["sum of the parts", "parameters"].note.startswith("is not the total")


def test_the_parts_of_the_exact_configuration_add_up(params: Params, tmp_path: Path) -> None:
    found = cells(written(params, tmp_path, {"swin-dual-lung": entry(7, SPEC, 44_089_967)}), "swin-dual/table-params")
    assert found["sum of the parts", "parameters"].measured_correct == 44_089_967
    assert found["sum of the parts", "parameters"].note == "equals the total"
    assert all(found[key].note == f"rounds to the printed {v}" for key, v in printed("swin-dual/table-params").items())


def test_each_base_run_has_two_counts(params: Params, tmp_path: Path) -> None:
    described = {run: entry(i, {}, 44_085_000 + i) for i, run in enumerate(params.base_runs)}
    found = cells(written(params, tmp_path, described), "common/param-counts")
    assert {row for row, _ in found} == set(params.base_runs)
    assert not [row for row, _ in found if "-seed" in row]
    swin = found["swin-dual-lung", "with the paper's settings"]
    assert swin.published == "44.09M" and swin.note.endswith("rounds to the printed 44.09M")
    other = found["unetpp-b3", "with the paper's settings"]
    assert other.published is None and other.note == "some net; input 1 x 1 x 256 x 256; not printed"
    own = found["unetpp-b3", "as configured"]
    assert own.measured_correct == params.base_runs.index("unetpp-b3") and "64 x 64" in own.note


def test_without_architectures_nothing_is_counted(params: Params, tmp_path: Path) -> None:
    for name in ("swin-dual/table-params", "common/param-counts"):
        for c in cells(Sources(params, tmp_path, tmp_path), name).values():
            assert not c.measured and c.words == "not run: the architectures were not described"
    sources = written(params, tmp_path, {"unetpp-b3": entry(1, {}, 2)})
    assert cells(sources, "common/param-counts")["recon-mtl-cnn8", "as configured"].words.startswith("not run: ")


@pytest.mark.parametrize(
    ("count", "stated", "same"),
    [
        (27_522_474, "27.52M", True),
        (27_525_001, "27.52M", False),
        (27_514_999, "27.52M", False),
        (2_179, "2.18K", True),
        (2_174, "2.18K", False),
        (44_000_000, "44M", True),
    ],
)
def test_a_count_rounds_to_what_is_printed(count: int, stated: str, same: bool) -> None:
    assert rounds_to(count, stated) is same


def test_a_printed_count_without_a_unit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"want a number with K or M"):
        rounds_to(10, "27.52")


def test_counts_are_those_of_the_described_networks(params: Params, tmp_path: Path) -> None:
    """The real parts of paper 000 carry the names that the table asks for."""
    from covidqu.report.core.provenance import full
    from covidqu.steps.architectures import describe

    found = {"swin-dual-lung": describe(params.run("swin-dual-lung"), full(params, "swin-dual-lung"))}
    shown = cells(written(params, tmp_path, found), "swin-dual/table-params")
    assert {row: shown[row, "parameters"].measured_correct for row in SPEC} == SPEC
    assert shown["total", "parameters"].measured_correct == 44_089_967
