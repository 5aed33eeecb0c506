"""Ranks over resamples of images and seeds: groups of copies, ranks known by hand, the table of synthetic runs."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from covidqu.config.evaluation import Bootstrap
from covidqu.report import catalogue
from covidqu.report.core.artefacts import Reads
from covidqu.report.core.runs import lineage
from covidqu.report.core.sources import Sources
from covidqu.report.systems.rank_stability import MEAN, RANKS, SYSTEMS, copies, ranked
from covidqu.report.tables import build
from support.synthetic_runs import cell, settings, write_run

SOURCES = SimpleNamespace(
    params=SimpleNamespace(evaluate=SimpleNamespace(bootstrap=Bootstrap(resamples=4000, confidence=0.95, seed=0)))
)


def pairs(*found: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(found, columns=["id_a", "id_b"])


def test_copies_of_copies_are_one_group() -> None:
    found = copies(list("abcdef"), pairs(("a", "c"), ("c", "e"), ("b", "elsewhere")))
    assert found[0] == found[2] == found[4] and len(set(found)) == 4


def test_ranks_by_hand() -> None:
    """The first system wins on every image, so in every resample; the others tie in the mean: either may be second."""
    dice = np.array([[0.9, 0.2, 0.4], [0.9, 0.4, 0.2]] * 10)
    ranks = ranked(dice, np.arange(20), [1, 1, 1], SOURCES)
    assert ranks.shape == (4000, 3) and (ranks[:, 0] == 1).all() and (np.sort(ranks) == [1, 2, 3]).all()
    assert 0.4 < (ranks[:, 1] == 2).mean() < 0.6


def test_a_seed_is_drawn_of_each_system() -> None:
    """One of two seeds of the first system is better than the second system, the other worse."""
    dice = np.tile([0.9, 0.1, 0.5], (10, 1))
    ranks = ranked(dice, np.arange(10), [2, 1], SOURCES)
    assert (ranks[:, 0] == 1).mean() == pytest.approx(0.5, abs=0.03)


def test_copies_are_drawn_together() -> None:
    """Thirty copies of an image on which the second system wins, and three others: it wins if the copies are drawn."""
    dice = np.array([[0.4, 0.6]] * 30 + [[0.8, 0.2]] * 3)
    apart = ranked(dice, np.arange(33), [1, 1], SOURCES)
    together = ranked(dice, np.array([0] * 30 + [1, 2, 3]), [1, 1], SOURCES)
    assert (apart[:, 1] == 1).mean() > 0.98
    assert (together[:, 1] == 1).mean() == pytest.approx(1 - 0.75**4, abs=0.03)


def test_table_of_synthetic_runs(tmp_path: Path) -> None:
    params = settings()
    seeded = [run for base in SYSTEMS.values() for run in params.seeds(base)]
    for run in lineage(params, seeded):
        write_run(tmp_path, params, run, {})
    built = build(Sources(params, tmp_path, tmp_path), "common/rank-stability")
    assert {c.words for c in built.cells} == {"not run: the audit was not made"}
    (tmp_path / "audit").mkdir()
    pairs(("infection/Test/COVID-19/scored-0", "infection/Test/COVID-19/scored-1")).to_parquet(
        tmp_path / "audit/duplicates.parquet"
    )
    built = build(Sources(params, tmp_path, tmp_path), "common/rank-stability")
    for row in SYSTEMS:
        assert sum(cell(built, row, rank).measured_correct for rank in RANKS) == pytest.approx(1)
    assert cell(built, "cbam-mtl", MEAN).note == "seeds: 3"
    assert cell(built, "cbam-mtl", MEAN).protocol_correct.endswith("11 groups of images")
    means = sum(cell(built, row, MEAN).measured_correct for row in SYSTEMS)
    assert means == pytest.approx(sum(range(1, len(SYSTEMS) + 1)))
    assert Reads.DATA in catalogue.table("common/rank-stability", params).reads
