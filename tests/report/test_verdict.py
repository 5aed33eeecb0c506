"""Verdicts by hand, and numbers as it shows them."""

from pathlib import Path
from typing import Any

import pytest

from covidqu.page.numbers import printed
from covidqu.report.comparison import tallies
from covidqu.report.core.cells import Cell
from covidqu.report.core.kinds import Kind, Status
from covidqu.report.core.numbers import shown, supported
from covidqu.report.core.sources import Sources
from covidqu.report.core.verdict import (
    ABOVE,
    AGREES,
    BELOW,
    BY_DEFINITION,
    DIFFERS,
    NOT_COMPARABLE,
    REDUCED,
    REPRODUCED,
    SETTING,
    WORDS,
    judge,
    other_images,
)
from support.synthetic_runs import settings


def cell(kind: Kind = Kind.PERFORMANCE, **values: Any) -> Cell:
    return Cell("row", "column", **values, kind=kind)


@pytest.mark.parametrize(
    ("values", "decimals", "word"),
    [
        # printed 0.90 stands for 0.895 to 0.905; ours, 0.88 with 0.01 to either side, reaches to 0.89
        ({"published": 0.9, "measured_paper": 0.88, "paper_low": 0.87, "paper_high": 0.89}, 2, BELOW),
        ({"published": 0.9, "measured_paper": 0.88, "paper_low": 0.86, "paper_high": 0.90}, 2, REPRODUCED),
        # the interval of the correct protocol says nothing of the value under the paper's
        (
            {"published": 0.93, "measured_paper": 0.9, "measured_correct": 0.9, "ci_low": 0.8, "ci_high": 1.0},
            None,
            BELOW,
        ),
        ({"published": 0.93, "measured_paper": 0.96, "paper_low": 0.95, "paper_high": 0.97}, None, ABOVE),
        ({"published": 0.93, "measured_paper": 0.9349}, None, REPRODUCED),
        ({"published": 0.93, "measured_paper": 0.9351}, None, ABOVE),
        ({"published": 0.93, "measured_correct": 0.93}, None, NOT_COMPARABLE),
    ],
)
def test_performance_at_full_size(values: dict[str, Any], decimals: int | None, word: str):
    found = judge(cell(**values), decimals)
    assert (found.word, bool(found.reason)) == (word, True)


@pytest.mark.parametrize(("ours", "why"), [(0.8, "ours is 0.13 below the printed value"), (0.93, "rounds to the")])
def test_a_reduced_run_gets_no_verdict_on_performance(ours: float, why: str):
    found = judge(cell(published=0.93, measured_paper=ours), reduced=True)
    assert found.word == REDUCED and found.reason.startswith(why)


@pytest.mark.parametrize("reduced", [True, False])
@pytest.mark.parametrize(
    ("kind", "printed", "ours", "word"),
    [
        (Kind.ARCHITECTURE, "27.52M", 27522474, AGREES),
        (Kind.ARCHITECTURE, "27.52M", 27525474, DIFFERS),
        (Kind.DATA, 5826, 5826, AGREES),
        (Kind.DATA, 5826, 5825, DIFFERS),
        (Kind.DATA, "256x256", "256x256", AGREES),
        (Kind.DATA, "256x256", "128x128", DIFFERS),
        (Kind.DATA, "< 0.10", 0.09, AGREES),
        (Kind.DATA, "< 0.10", 0.139, DIFFERS),
        (Kind.ARITHMETIC, -20.42, -20.4201, AGREES),
        (Kind.SETTING, "3e-4", "0.0003", SETTING),
        (Kind.DEFINITION, 0.0, 0.0, BY_DEFINITION),
    ],
)
def test_other_kinds_do_not_depend_on_the_size_of_a_run(kind: Kind, printed: Any, ours: Any, word: str, reduced: bool):
    assert judge(cell(kind, published=printed, measured_paper=ours), reduced=reduced).word == word


def test_a_setting_says_whether_it_is_as_printed():
    reasons = [judge(cell(Kind.SETTING, published="3e-4", measured_paper=ours)).reason for ours in ("0.0003", "0.001")]
    assert reasons == ["as printed", "not as printed"]
    words = {"AdamW": "adamw", "BCE + Dice": "1 x bce + 1 x dice", "256x256": "64x64"}
    reasons = [judge(cell(Kind.SETTING, published=one, measured_paper=ours)).reason for one, ours in words.items()]
    assert reasons == ["as printed", "printed in other words", "not as printed"]


@pytest.mark.parametrize("kind", list(Kind))
def test_other_images_make_data_and_performance_not_comparable(kind: Kind):
    word = judge(cell(kind, published=0.93, measured_paper=0.93), None, "printed for CT").word
    assert (word == NOT_COMPARABLE) == (kind in (Kind.DATA, Kind.PERFORMANCE))


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.MEASURED])
def test_what_was_not_measured_has_its_status_for_a_verdict(status: Status):
    found = judge(Cell("row", "column", 0.93, note="why", status=status), reduced=True)
    assert (found.word, found.reason) == (status, "why") and found.word in WORDS


def test_nothing_printed_has_no_verdict():
    assert judge(cell(measured_paper=0.5)) is None


def test_a_number_and_its_status_fit():
    for wrong in ({}, {"measured_paper": 1.0, "status": Status.UNDEFINED}):
        with pytest.raises(AssertionError, match="but a number is there"):
            Cell("row", "column", **wrong)


def test_phantoms_are_compared_with_nothing(tmp_path: Path):
    for source, why in (("phantom", "printed for real images, measured on drawn phantoms"), ("kaggle", "")):
        sources = Sources(settings(download={"source": source}), tmp_path, tmp_path)
        assert other_images(sources, "swin-dual", "swin-dual-lung") == why
        assert other_images(sources, "recon-mtl", "") == (why or "printed for CT images, measured on chest X-rays")


def test_verdicts_are_counted_by_kind():
    rows = [("performance", REDUCED)] * 3 + [("performance", BELOW), ("performance", NOT_COMPARABLE), ("data", AGREES)]
    found = tallies([{"kind": kind, "verdict": word} for kind, word in rows])
    assert [tally.kind for tally in found] == [Kind.DATA, Kind.PERFORMANCE]
    assert [tally.sentence for tally in found] == ["1 agrees", "1 of 4 performance values judged at full size"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.929911", "0.930"),
        ("51.457", "51.46"),
        ("0.000529", "0.000529"),
        ("5826", "5,826"),
        ("0.0", "0"),
        ("-0.25", "-0.25"),
        ("3e-4", "3e-4"),
        ("nan", "nan"),
        ("256x256", "256x256"),
    ],
)
def test_shown(text: str, words: str):
    assert shown(text) == words


@pytest.mark.parametrize(
    ("value", "low", "high", "decimals"),
    [
        ("0.715767", "0.698", "0.733", 3),
        ("0.9442", "0.9418", "0.9464", 4),
        ("0.44", "0.31", "0.64", 3),
        ("5.8", "4.6", "6.9", 1),
        ("57.69", "55.1", "75.2", 0),
        ("0.0", "0.0", "0.0", None),
        ("0.5", "", "", None),
    ],
)
def test_an_interval_decides_on_decimals(value: str, low: str, high: str, decimals: int | None):
    assert supported(value, low, high) == decimals


def test_measurements_keep_their_zeros():
    assert [shown(text, padded=True) for text in ("1.0", "0.0", "0.0105")] == ["1.000", "0.000", "0.010"]
    assert shown("1.0") == "1.0", "a setting has the digits that it was given"
    assert shown("0.5", exact=2) == "0.50"


def test_whole_numbers_are_grouped_wherever_they_stand():
    assert ">1,864<" in printed("1864") and printed("2022", "Year") == "2022"
