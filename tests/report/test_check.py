"""The comparison of tables: every kind of difference is found and named; nothing else is. And what CI runs."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from covidqu.report.checks.check import differences, read_rows
from support.places import ROOT

TABLE = "row,column,measured_correct,n\nDice,Score,0.7,8\nIoU,Score,0.5,8\n"


def found(tmp_path: Path, now: str) -> tuple[list[str], int]:
    """Differences between TABLE and another text, and the number of values compared."""
    contents = []
    for name, text in (("was", TABLE), ("now", now)):
        (tmp_path / f"{name}.csv").write_text(text)
        contents.append(read_rows(tmp_path / f"{name}.csv"))
    compared = differences("t", *contents)
    return compared.faults, compared.values


def test_equal_tables_have_no_difference_and_order_is_none(tmp_path: Path) -> None:
    assert found(tmp_path, TABLE) == ([], 8)
    assert found(tmp_path, "column,row,n,measured_correct\nScore,IoU,8,0.5\nScore,Dice,8,0.7\n") == ([], 8)


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        ("0.7", "0.700001", ["row 'Dice' / 'Score': measured_correct moved: '0.7' -> '0.700001'"]),
        ("0.7,8", "0.7,9", ["row 'Dice' / 'Score': n moved: '8' -> '9'"]),
        ("0.7,8", "nan,8", ["row 'Dice' / 'Score': measured_correct moved: '0.7' -> 'nan'"]),
        ("0.7,8", ",8", ["row 'Dice' / 'Score': measured_correct moved: '0.7' -> ''"]),
        ("Dice,Score,0.7,8\n", "", ["row 'Dice' / 'Score' is missing"]),
        ("IoU,Score", "Recall,Score", ["row 'IoU' / 'Score' is missing", "row 'Recall' / 'Score' is new"]),
        ("n\n", "m\n", ["column 'n' is missing", "column 'm' is new"]),
    ],
)
def test_each_difference_is_named(tmp_path: Path, old: str, new: str, faults: list[str]) -> None:
    assert found(tmp_path, TABLE.replace(old, new, 1))[0] == [f"t: {fault}" for fault in faults]


@pytest.mark.parametrize("line", ["Dice,Score,0.7,8\n", "F1,Score\n"])
def test_malformed_tables_are_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"now\.csv: .*write the table again"):
        found(tmp_path, TABLE + line)


def test_ci_has_the_three_tiers_and_the_long_tests() -> None:
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    triggers = ci[True]  # YAML 1.1 reads `on` so
    assert {"push", "pull_request", "schedule", "workflow_dispatch"} == set(triggers)
    jobs = {
        name: (job, "\n".join(step["run"] for step in job["steps"] if "run" in step))
        for name, job in ci["jobs"].items()
    }
    assert list(jobs) == ["tier-0", "tier-1", "tier-1-oldest", "tier-1-long", "tier-2"]
    assert triggers["push"] is None, "tier 0 runs on every push, to any branch"
    assert jobs["tier-0"][0]["if"] == "github.event_name != 'schedule'"
    assert jobs["tier-0"][1].endswith("python -m covidqu check")
    assert jobs["tier-1"][1] == "bash .ci/run"
    assert jobs["tier-1-long"][1] == "bash .ci/run -m long"
    assert jobs["tier-2"][0]["runs-on"][0] == "self-hosted"
    assert "snakemake --cores all" in jobs["tier-2"][1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest, newest = re.fullmatch(r">=(3\.\d+),<3\.(\d+)", project["requires-python"]).groups()
    assert jobs["tier-1"][0]["strategy"]["matrix"]["python"] == [oldest, f"3.{int(newest) - 1}"]
    assert "--resolution lowest-direct --editable ." in jobs["tier-1-oldest"][1]
    assert all((ROOT / folder).is_dir() for folder in re.findall(r"tests/\w+", jobs["tier-1-oldest"][1]))
    direct = {re.match(r"[\w-]+", line).group() for line in project["dependencies"]}
    assert set(re.findall(r"--prune (\S+)", jobs["tier-0"][1])) <= direct
    for job, _ in jobs.values():
        assert any(step.get("uses", "").startswith("astral-sh/setup-uv@") for step in job["steps"])
