"""The short lane of tests/campaigns/kills.py: from the archive to the scores of one run."""

from pathlib import Path

import pytest

from campaigns.kills import campaign

pytestmark = pytest.mark.pipeline


def test_nothing_is_lost_and_nothing_is_left(tmp_path: Path) -> None:
    log, targets = tmp_path / "log" / "kills.log", ("results/runs/unet-roi-lung/scores.parquet", "data/split.parquet")
    assert not campaign(tmp_path / "lanes", {"steps": 8, "snakemake": 3}, 0, log, targets=targets), log.read_text()
