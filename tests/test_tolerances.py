"""Tolerances are what was measured between machines, no more: words that flip are left free field by field."""

import shutil
from pathlib import Path

import pytest

from covidqu.cli import main
from covidqu.report.check import check, read_tolerances
from covidqu.report.tolerances import FACTOR, rounded_up, spread, tolerances

ROOT = Path(__file__).resolve().parent.parent
HEADER = "row,column,measured_correct,n,note\n"
LINES = {  # what three machines write
    "a": ["Dice [1],Score,0.5,8,SD 0.1 over 3 seeds", "IoU,Score,0.25,8,", "AUC,Score,0.75,8,", "Lungs,Score,0.9,4,"],
    "b": ["Dice [1],Score,0.53,8,SD 0.15 over 3 seeds", "IoU,Score,0.26,8,", "AUC,Score,,,not run: one class", ""],
    "c": ["Dice [1],Score,0.48,8,SD 0.1 over 3 seeds", "IoU,Score,0.25,8,", "AUC,Score,0.75,7,", ""],
}


@pytest.fixture
def machines(tmp_path: Path) -> list[Path]:
    found = []
    for name, lines in LINES.items():
        folder = tmp_path / name
        (folder / "tables").mkdir(parents=True)
        rows = [line or LINES["a"][place] for place, line in enumerate(lines)]
        (folder / "tables" / "t.csv").write_text(HEADER + "\n".join(rows) + "\n")
        (folder / "comparison.csv").write_text("table,row,column,n\nt,Dice,Score,8\n")
        found.append(folder)
    return found


def allowed(machines: list[Path], out: Path) -> dict[tuple[str, str], float | None]:
    """Row and column of the table -> measured tolerance."""
    tolerances(machines, out)
    found, keys = read_tolerances(out), [("Dice [1]", "Score"), ("IoU", "Score"), ("AUC", "Score"), ("Lungs", "Score")]
    columns = ("measured_correct", "n", "note")
    return {(key[0], column): found.of("tables/t", key, column) for key in keys for column in columns}


def test_a_column_gets_twice_its_largest_move_and_flips_are_free_alone(machines: list[Path], tmp_path: Path) -> None:
    found = allowed(machines, tmp_path / "t.yaml")
    assert FACTOR == 2
    # Dice lies between 0.48 and 0.53, IoU between 0.25 and 0.26; SD between 0.1 and 0.15
    assert found["Dice [1]", "measured_correct"] == found["Lungs", "measured_correct"] == 0.1
    assert found["Dice [1]", "note"] == 0.1
    assert (found["Dice [1]", "n"], found["Lungs", "n"]) == (0, 0)
    assert [column for (row, column), value in found.items() if value is None and row == "AUC"] == list(
        ("measured_correct", "n", "note")
    )
    assert not [row for (row, _), value in found.items() if value is None and row != "AUC"]


def test_two_machines_free_less_than_three(machines: list[Path], tmp_path: Path) -> None:
    found = allowed([machines[0], machines[2]], tmp_path / "t.yaml")
    assert [place for place, value in found.items() if value is None] == [("AUC", "n")]
    assert found["IoU", "measured_correct"] == 0.04, "of its column: Dice moved by 0.02"


def test_each_machine_passes_against_each_other_and_a_new_one_does_not(machines: list[Path], tmp_path: Path) -> None:
    tolerances(machines, tmp_path / "t.yaml")
    for expected in machines:
        shutil.copy(tmp_path / "t.yaml", expected / "tolerances.yaml")
        assert [check(expected, actual) for actual in machines] == [0, 0, 0]
    table = machines[1] / "tables" / "t.csv"
    table.write_text(table.read_text().replace("Lungs,Score,0.9", "Lungs,Score,0.7"))
    assert check(machines[0], machines[1]) == 1


def test_equal_folders_leave_nothing_open(machines: list[Path], tmp_path: Path) -> None:
    tolerances([machines[0], machines[0]], tmp_path / "t.yaml")
    assert read_tolerances(tmp_path / "t.yaml").tolerances == []


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["0.5", "0.5", "0.5"], 0),
        (["0.5", "0.7", "0.4"], 0.3),
        (["from 0.1 to 0.9", "from 0.2 to 0.85"], 0.1),
        (["8", "9"], None),
        (["0.5", "not run"], None),
        (["0.5", ""], None),
        (["mean 0.5", "median 0.5"], None),
    ],
)
def test_spread(texts: list[str], expected: float | None) -> None:
    assert spread(texts) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(("value", "expected"), [(0.00261, 0.0027), (0.1, 0.1), (0.12, 0.12), (1.01, 1.1), (37, 37)])
def test_rounded_up(value: float, expected: float) -> None:
    assert rounded_up(value) == expected


def test_other_tables_or_rows_are_no_matter_of_tolerance(
    machines: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t.yaml"
    with pytest.raises(ValueError, match="two results folders or more"):
        tolerances(machines[:1], out)
    table = machines[1] / "tables" / "t.csv"
    table.write_text(table.read_text() + "New,Score,1,1,\n")
    with pytest.raises(ValueError, match="row 'New' / 'Score' is new; run both again"):
        tolerances(machines[:2], out)
    (machines[2] / "tables" / "u.csv").write_text(HEADER)
    folders = [str(machines[0]), str(machines[2])]
    assert main(["--params", str(ROOT / "params.yaml"), "tolerances", *folders, "--out", str(out)]) == 2
    assert "(tables/u); run both again" in capsys.readouterr().err
    assert not out.exists()
