"""Intervals over groups of copies: against a plain loop, and the table of synthetic runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidqu.config.evaluation import Bootstrap
from covidqu.report.core.runs import lineage
from covidqu.report.core.sources import Sources
from covidqu.report.systems.clustered import ALONE, DICE, DIFFERENCE, TOGETHER, copies, of_groups
from covidqu.report.systems.headline_runs import HEADLINE_RUNS
from covidqu.report.tables import build
from support.synthetic_runs import cell, settings, write_run

CONFIG = Bootstrap(resamples=4000, confidence=0.95, seed=0)


def test_groups_are_drawn_whole() -> None:
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(12), 5)
    values = rng.random(12)[groups]  # five copies of each of twelve images
    plain = [np.mean([values[groups == g].mean() for g in rng.integers(0, 12, 12)]) for _ in range(4000)]
    value, low, high = of_groups(values, groups, CONFIG)
    assert value == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=0.02)
    _, narrow_low, narrow_high = of_groups(values, np.arange(60), CONFIG)
    assert high - low > 1.8 * (narrow_high - narrow_low), "copies are no further observations"


def test_table_of_synthetic_runs(tmp_path: Path) -> None:
    params = settings()
    for run in lineage(params, list(HEADLINE_RUNS.values())):
        write_run(tmp_path, params, run, {})
    sources = Sources(params, tmp_path, tmp_path)
    before = build(sources, "common/clustered")
    assert cell(before, "swin-dual", f"{DICE}, {TOGETHER}").words == "not run: the audit was not made"
    (tmp_path / "audit").mkdir()
    ids = sources.scores("reference")["id"].tolist()
    pd.DataFrame([(ids[0], ids[1])], columns=["id_a", "id_b"]).to_parquet(tmp_path / "audit/duplicates.parquet")
    built = build(Sources(params, tmp_path, tmp_path), "common/clustered")
    for row in HEADLINE_RUNS:
        alone, together = (cell(built, row, f"{DICE}, {how}") for how in (ALONE, TOGETHER))
        assert alone.measured_correct == pytest.approx(together.measured_correct) and alone.n == together.n
    assert together.note == f"1 of {together.n} images are copies of others among them"
    shown = {c.column for c in built.cells if c.row == "reference (ours)"}
    assert f"{DICE}, {ALONE}" in shown and not any(DIFFERENCE in column for column in shown)


def pairs(*found: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(found, columns=["id_a", "id_b"])


def test_copies_of_copies_are_one_group() -> None:
    found = copies(list("abcdef"), pairs(("a", "c"), ("c", "e"), ("b", "elsewhere")))
    assert found[0] == found[2] == found[4] and len(set(found)) == 4
