"""Findings in words: filled in from cells, refused when the cells do not support them."""

from pathlib import Path

import pytest

from covidqu.report.checks.claims import CLAIMS, claims, holds, sentences

HEADER = "row,column,measured_correct,ci_low,ci_high,n,note\n"
CLAIM = """
- text: "`a` finds more than `b`: {a:.2f} against {b:.2f}, {a_n:.0f} images."
  cells: {a: common/t | a | Dice, b: common/t | b | Dice}
  holds: ["HOLDS"]
"""


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "common").mkdir()
    rows = "a,Dice,0.75,0.70,0.80,583,\nb,Dice,0.69,0.64,0.74,583,\nc,Dice,,,,,not run: no weights\n"
    (tmp_path / "common" / "t.csv").write_text(HEADER + rows)
    return tmp_path


def said(tables: Path, relation: str, **changed: str) -> list[str]:
    text = CLAIM.replace("HOLDS", relation)
    for old, new in changed.values():
        text = text.replace(old, new)
    (tables / CLAIMS).write_text(text)
    return sentences(tables / CLAIMS, tables)


def test_a_claim_is_filled_in_from_its_cells(tables: Path) -> None:
    assert said(tables, "a > b") == ["`a` finds more than `b`: 0.75 against 0.69, 583 images."]
    assert said(tables, "a_low > b and min(a, b) > 0.6 and abs(a - b) < 0.1")


def test_a_claim_that_its_cells_do_not_support_is_refused(tables: Path) -> None:
    with pytest.raises(ValueError, match=r"'a_low > b_high' does not hold \(.*a_low = 0.7, .*b_high = 0.74"):
        said(tables, "a_low > b_high")


def test_moved_numbers_end_a_claim(tables: Path) -> None:
    assert said(tables, "a > b")
    path = tables / "common" / "t.csv"
    path.write_text(path.read_text().replace("a,Dice,0.75", "a,Dice,0.65"))
    with pytest.raises(ValueError, match=r"'a > b' does not hold"):
        sentences(tables / CLAIMS, tables)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("| a | Dice", "| d | Dice", "no row 'd' with column 'Dice'"),
        ("| a | Dice", "| c | Dice", "has no value, which a claim rests on: not run: no weights"),
        ("common/t | a", "common/u | a", r"u.csv: no such table"),
        ("common/t | a | Dice", "common/t", "is no cell; write: table | row | column"),
        ("{a:.2f}", "{x:.2f}", "cannot be filled in: 'x'"),
        ("cells:", "cell:", r"0.cells: required key is missing\n0.cell: unknown key"),
    ],
)
def test_faults_are_named(tables: Path, old: str, new: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        said(tables, "a > b", change=(old, new))


@pytest.mark.parametrize("relation", ["a", "a + b", "a >", "x > a", "().__class__ > a", "open('x') > a", "[a] > [b]"])
def test_only_relations_between_known_numbers(relation: str) -> None:
    with pytest.raises(ValueError, match="claims: "):
        holds(relation, {"a": 1.0, "b": 2.0})


def test_no_file_no_claims(tmp_path: Path) -> None:
    assert claims(tmp_path / CLAIMS) == []
