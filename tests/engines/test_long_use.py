"""The short lane of tests/campaigns/long_use.py: true engines, stand-ins for the steps, a run that is renamed."""

from pathlib import Path

import pytest

from campaigns.long_use import edit, in_step, made, truth
from support.copies import RUNS

pytestmark = pytest.mark.pipeline


def test_a_run_gets_another_name(tmp_path: Path) -> None:
    place = made(tmp_path / "copy", stand_ins=True)
    edit(place, lambda runs: runs.update(more=runs.pop(RUNS[1])))
    truth(place, snakemake=False, dvc=False)
    place("dvc", "repro")
    in_step(place)
    assert (place.folder / "results/runs/more/scores.parquet").is_file()
