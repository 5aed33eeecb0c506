"""Verdicts of the report site by hand, and numbers as it shows them."""

import pytest

from covidqu.page.numbers import printed, shown, supported
from covidqu.report.core.cells import COLUMNS
from covidqu.report.core.verdict import ABOVE, BELOW, MISSING, NOT_COMPARABLE, REPRODUCED, judge, printed_decimals


@pytest.mark.parametrize(
    ("changes", "decimals", "elsewhere", "word"),
    [
        # printed 0.90 stands for 0.895 to 0.905; ours, 0.88 with 0.01 to either side, reaches to 0.89
        ({"published": "0.9", "measured_paper": "0.88", "ci_low": "0.87", "ci_high": "0.89"}, 2, "", BELOW),
        ({"published": "0.9", "measured_paper": "0.88", "ci_low": "0.86", "ci_high": "0.90"}, 2, "", REPRODUCED),
        # the interval of the correct protocol, 0.68 to 0.72, becomes 0.88 to 0.92 around the paper's protocol
        (
            {
                "published": "0.93",
                "measured_paper": "0.9",
                "measured_correct": "0.7",
                "ci_low": "0.68",
                "ci_high": "0.72",
            },
            None,
            "",
            BELOW,
        ),
        ({"published": "0.93", "measured_paper": "0.96", "ci_low": "0.95", "ci_high": "0.97"}, None, "", ABOVE),
        ({"published": "0.93", "measured_paper": "0.9349"}, None, "", REPRODUCED),
        ({"published": "0.93", "measured_paper": "0.9351"}, None, "", ABOVE),
        ({"published": "27.52M", "measured_paper": "27522474"}, None, "", REPRODUCED),
        ({"published": "27.52M", "measured_paper": "27525474"}, None, "", ABOVE),
        ({"published": "5826", "measured_paper": "5826"}, None, "", REPRODUCED),
        ({"published": "5826", "measured_paper": "5825"}, None, "", BELOW),
        ({"published": "256x256", "measured_paper": "256x256"}, None, "", REPRODUCED),
        ({"published": "256x256", "measured_paper": "128x128"}, None, "", NOT_COMPARABLE),
        ({"published": "0.93", "measured_correct": "0.93"}, None, "", NOT_COMPARABLE),
        ({"published": "0.93", "measured_paper": "0.93"}, None, "printed for CT", NOT_COMPARABLE),
        ({"published": "0.93", "note": "not run: no card"}, None, "", MISSING),
    ],
)
def test_verdict(changes: dict[str, str], decimals: int | None, elsewhere: str, word: str):
    row = dict.fromkeys(COLUMNS, "") | changes
    if row["ci_low"] and not row["measured_correct"]:
        row["measured_correct"] = row["measured_paper"]
    found = judge(row, decimals, elsewhere)
    assert (found.word, bool(found.reason)) == (word, True)


def test_nothing_printed_has_no_verdict():
    assert judge(dict.fromkeys(COLUMNS, "") | {"measured_paper": "0.5"}) is None


def test_lost_zeros_are_known_from_the_column():
    assert printed_decimals("recon-mtl/table-2")["Sens"] == 2  # 0.6 stands in a column of 0.67
    assert printed_decimals("common/overview") == {}


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
