"""The short lane of tests/campaigns/long_use.py: true engines on stand-ins for the steps."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "campaigns"))

from long_use import a_run_is_added_renamed_and_removed, made

pytestmark = pytest.mark.pipeline


def test_both_engines_tell_the_truth_of_a_run_that_comes_is_renamed_and_goes(tmp_path: Path) -> None:
    a_run_is_added_renamed_and_removed(made(tmp_path / "copy", stand_ins=True))
