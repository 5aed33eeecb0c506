"""Means over batches in other orders of the images: against a plain loop, and the table of synthetic runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from covidqu.evaluate import protocols
from covidqu.evaluate.orders import dice_over_orders
from covidqu.report.core.runs import with_infection
from covidqu.report.core.sources import Sources
from covidqu.report.systems.batch_order import FILE, HIGHEST, MEAN
from covidqu.report.tables import build
from support.synthetic_runs import cell, settings, write_run


def frame(n: int, seed: int = 0) -> pd.DataFrame:
    """Half infected images, a quarter of each other class; a third of those blank."""
    rng, label = np.random.default_rng(seed), np.repeat(["COVID-19", "Non-COVID", "Normal"], [n // 2, n // 4, n // 4])
    covid = label == "COVID-19"
    tp, fn = (np.where(covid, rng.integers(1, 500, n), 0) for _ in range(2))
    fp = rng.integers(0, 300, n) * (rng.random(n) > 1 / 3)
    columns = {"tp": tp, "fp": fp, "fn": fn, "tn": 65536 - tp - fp - fn}
    return pd.DataFrame({"label": label, **{f"infection_{c}": v for c, v in columns.items()}})


def test_orders_are_permutations_within_classes() -> None:
    scores, rng = frame(40), np.random.default_rng(5)
    found = dice_over_orders(scores, "infection", 8, 3000, seed=1)
    plain = []
    for _ in range(1000):
        parts = [part.sample(frac=1, random_state=rng) for _, part in scores.groupby("label", sort=False)]
        plain.append(protocols.per_batch(pd.concat(parts), "infection", 8)["dice"].mean())
    assert found.mean() == pytest.approx(np.mean(plain), abs=0.004)
    assert np.quantile(found, [0.025, 0.975]) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.015)
    same = scores.assign(
        **{f"infection_{c}": scores.groupby("label")[f"infection_{c}"].transform("first") for c in protocols.COUNTS}
    )
    in_file = protocols.per_batch(same, "infection", 4)["dice"].mean()  # equal images: order is nothing
    assert dice_over_orders(same, "infection", 4, 50, seed=1) == pytest.approx(np.full(50, in_file))


def test_table_of_synthetic_runs(tmp_path: Path) -> None:
    params = settings()
    write_run(tmp_path, params, "unetpp-b3", {})
    built = build(Sources(params, tmp_path, tmp_path), "common/batch-order")
    first, mean, highest = (cell(built, "unetpp-b3", column) for column in (FILE, MEAN, HIGHEST))
    scores = Sources(params, tmp_path, tmp_path).scores("unetpp-b3")
    assert first.measured_paper == pytest.approx(protocols.summary("batch8_seq", scores, "infection")["dice"])
    assert mean.ci_low <= mean.measured_correct <= mean.ci_high <= highest.measured_correct
    assert {c.row for c in built.cells} == set(with_infection(params))
    assert cell(built, "swin-dual-infection", MEAN).words.startswith("not run: run swin-dual-infection has no")
