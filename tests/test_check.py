"""The check of regenerated tables: every kind of difference is found and named; nothing else is."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from covidqu.report.check import Tolerance, check, same

ROOT = Path(__file__).resolve().parent.parent
TABLE = "row,column,measured_correct,n\nDice,Score,0.7,8\nIoU,Score,0.5,8\n"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    expected, actual = tmp_path / "expected", tmp_path / "actual"
    for folder in (expected, actual):
        (folder / "tables" / "unet-roi").mkdir(parents=True)
        (folder / "tables" / "unet-roi" / "table-4.csv").write_text(TABLE)
        (folder / "comparison.csv").write_text("table,row,column,n\nunet-roi/table-4,Dice,Score,8\n")
    (expected / "tolerances.yaml").write_text(
        "tolerances:\n  - {table: 'tables/unet-roi/*', column: 'measured_*', absolute: 0.01}\n"
    )
    return expected, actual


def rewrite(folder: Path, old: str, new: str) -> None:
    path = folder / "tables" / "unet-roi" / "table-4.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_equal_tables_pass_and_are_counted(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert check(*folders) == 0
    assert capsys.readouterr().out == "2 tables, 12 values checked: 0 differences\n"


def test_moved_number_is_named_in_full(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    rewrite(folders[1], "0.7", "0.72")
    assert check(*folders) == 1
    wanted = "tables/unet-roi/table-4: row 'Dice' / 'Score': measured_correct moved: '0.7' -> '0.72' (tolerance 0.01)\n"
    assert capsys.readouterr().err == wanted


def test_tolerance_covers_its_columns_only(folders: tuple[Path, Path]) -> None:
    rewrite(folders[1], "0.7", "0.71")
    assert check(*folders) == 0
    (folders[0] / "tolerances.yaml").unlink()
    assert check(*folders) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.7,8", "0.7,9", "row 'Dice' / 'Score': n moved: '8' -> '9' (tolerance 0)"),
        ("0.7,8", "nan,8", "measured_correct moved: '0.7' -> 'nan'"),
        ("0.7,8", ",8", "measured_correct moved: '0.7' -> ''"),
        ("Dice,Score,0.7,8\n", "", "row 'Dice' / 'Score' is missing"),
        ("IoU,Score", "Recall,Score", "row 'Recall' / 'Score' is new"),
    ],
)
def test_other_differences(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], old: str, new: str, message: str
) -> None:
    rewrite(folders[1], old, new)
    assert check(*folders) == 1
    assert message in capsys.readouterr().err


def test_order_of_rows_and_columns_is_no_difference(folders: tuple[Path, Path]) -> None:
    path = folders[1] / "tables" / "unet-roi" / "table-4.csv"
    path.write_text("column,row,n,measured_correct\nScore,IoU,8,0.5\nScore,Dice,8,0.7\n")
    assert check(*folders) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE.replace("\n", ",x\n"), "column 'x' is new"),
        ("row,column,n\nDice,Score,8\nIoU,Score,8\n", "column 'measured_correct' is missing"),
        (None, "tables/unet-roi/table-4: table is missing in"),
    ],
)
def test_columns_and_tables(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    path = folders[1] / "tables" / "unet-roi" / "table-4.csv"
    path.unlink()
    if text is not None:
        path.write_text(text)
    assert check(*folders) == 1
    assert message in capsys.readouterr().err


def test_extra_table_fails_but_histories_are_no_tables(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[1] / "runs" / "a").mkdir(parents=True)
    (folders[1] / "runs" / "a" / "history.csv").write_text("epoch\n1\n")
    assert check(*folders) == 0
    (folders[1] / "tables" / "new.csv").write_text(TABLE)
    assert check(*folders) == 1
    assert "tables/new: table is not among the expected ones" in capsys.readouterr().err


@pytest.mark.parametrize("text", [TABLE + "Dice,Score,0.7,8\n", TABLE + "F1,Score\n"])
def test_malformed_tables_are_refused(folders: tuple[Path, Path], text: str) -> None:
    (folders[1] / "tables" / "unet-roi" / "table-4.csv").write_text(text)
    with pytest.raises(ValueError, match=r"table-4\.csv: .*write the table again"):
        check(*folders)


def test_a_free_column_still_wants_its_rows(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    free = "tolerances:\n  - {table: '*', column: measured_correct, absolute: null}\n"
    (folders[0] / "tolerances.yaml").write_text(free)
    path = folders[1] / "tables" / "unet-roi" / "table-4.csv"
    text = path.read_text()
    moved = "\n".join(re.sub(r"0\.\d+", "not run", line, count=1) for line in text.splitlines()) + "\n"
    assert moved != text
    path.write_text(moved)
    assert check(*folders) == 0
    assert capsys.readouterr().out == "2 tables, 10 values checked, 2 left free by tolerances.yaml: 0 differences\n"
    path.write_text("\n".join(moved.splitlines()[:-1]) + "\n")
    assert check(*folders) == 1
    assert "is missing" in capsys.readouterr().err


def test_a_tolerance_may_name_rows_and_several_columns(folders: tuple[Path, Path]) -> None:
    text = "tolerances:\n  - {table: '*', row: 'Dice / *', column: [n, measured_correct], absolute: null}\n"
    (folders[0] / "tolerances.yaml").write_text(text)
    rewrite(folders[1], "0.7,8", "0.9,9")
    assert check(*folders) == 0
    rewrite(folders[1], "0.5,8", "0.6,8")
    assert check(*folders) == 1


def test_a_row_name_is_a_pattern_as_well() -> None:
    item = Tolerance(table="t", row="Exp1[[]a] / Dice", column="n", absolute=0)
    assert item.covers("t", "Exp1[a] / Dice", "n")
    assert not item.covers("t", "Exp1a / Dice", "n")


def test_a_table_that_was_not_made_again_is_skipped_and_never_passed(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    start = folders[0].parent / "start"
    start.touch()
    made = [folders[1] / "comparison.csv", folders[1] / "tables" / "unet-roi" / "table-4.csv"]
    begun = start.stat().st_mtime_ns
    for path, later in zip(made, (-1, 1), strict=True):
        os.utime(path, ns=(begun + later, begun + later))
    assert check(*folders, since=start) == 0
    skipped, counts = capsys.readouterr().out.splitlines()
    assert skipped == f"SKIPPED 1 tables, not made again since {start} was written: comparison"
    assert counts == "1 tables, 8 values checked: 0 differences"
    os.utime(made[1], ns=(begun, begun))
    assert check(*folders, since=start) == 3, "nothing was checked, and that is no pass"
    assert "0 tables, 0 values checked" in capsys.readouterr().out


def test_files_beside_the_tables_are_none(folders: tuple[Path, Path]) -> None:
    for beside in ("report/tables", "lite/tables", "baselines/empty"):
        (folders[1] / beside).mkdir(parents=True)
        (folders[1] / beside / "other.csv").write_text(TABLE)
    assert check(*folders) == 0


def test_nothing_expected_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no CSV table"):
        check(tmp_path, tmp_path)


def test_misspelt_tolerance_is_refused(folders: tuple[Path, Path]) -> None:
    (folders[0] / "tolerances.yaml").write_text("tolerances:\n  - {table: '*', column: '*', abolute: 1}\n")
    with pytest.raises(ValueError, match=r"(?s)tolerances\.yaml: .*abolute: unknown key"):
        check(*folders)


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ("SD 0.5 over 3 seeds, from 0.1 to 1", "SD 0.52 over 3 seeds, from 0.12 to 1", True),
        ("SD 0.5 over 3 seeds", "SD 0.7 over 3 seeds", False),  # a number moved too far
        ("SD 0.5 over 3 seeds", "SD 0.5 over 2 seeds", False),  # a count moved
        ("SD 0.5 over 3 seeds", "SE 0.5 over 3 seeds", False),  # a word moved
        ("img_all_e1 0.5", "img_all_e0 0.5", False),  # a digit of a name is no number
        ("-0.04", "0.04", True),
        ("0.5", "not run", False),
        ("0.5", "nan", False),
        ("0.5", "0.5 to 0.6", False),
    ],
)
def test_numbers_inside_text_may_move_like_others(was: str, now: str, expected: bool) -> None:
    assert same(was, now, 0.1) is expected
    assert same(was, now, 0) is (was == now)


def test_ci_has_the_three_tiers() -> None:
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    triggers = ci[True]  # YAML 1.1 reads `on` so
    assert {"push", "pull_request", "schedule", "workflow_dispatch"} == set(triggers)
    jobs = {
        name: (job, "\n".join(step["run"] for step in job["steps"] if "run" in step))
        for name, job in ci["jobs"].items()
    }
    assert list(jobs) == ["tier-0", "tier-1", "tier-2"]
    assert triggers["push"] is None, "tier 0 runs on every push, to any branch"
    assert jobs["tier-0"][0]["if"] == "github.event_name != 'schedule'"
    assert jobs["tier-0"][1].endswith("python -m covidqu check")
    assert jobs["tier-1"][1] == "bash .ci/run"
    assert jobs["tier-2"][0]["runs-on"][0] == "self-hosted"
    assert "snakemake --cores all" in jobs["tier-2"][1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = {re.match(r"[\w-]+", line).group() for line in project["dependencies"]}
    assert set(re.findall(r"--prune (\S+)", jobs["tier-0"][1])) <= direct
    for job, _ in jobs.values():
        assert any(step.get("uses", "").startswith("astral-sh/setup-uv@") for step in job["steps"])
