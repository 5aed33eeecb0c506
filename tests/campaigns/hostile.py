"""The long lane of tests/commands/test_hostile.py: as many cases as asked for, counted by kind of input.

    uv run python tests/campaigns/hostile.py            20,000 cases
    uv run python tests/campaigns/hostile.py 100000

Cases are drawn from a fixed seed: a case that fails is found again by the same number.
"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.places import ROOT, TESTS


def main() -> int:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    environment = os.environ | {"COVIDQU_HOSTILE_CASES": str(number)}
    words = ["-q", "-s", "-p", "no:cacheprovider", "--durations=12", str(TESTS / "commands/test_hostile.py")]
    return subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
