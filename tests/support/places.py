"""Where things are in this repository: the only module of the tests that knows its own depth in it."""

from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
EXPECTED = TESTS / "expected/demo"  # the small files of one finished demo
