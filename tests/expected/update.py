"""Set the expectation anew: copy from a finished run of the demo what its report follows from, and the report.

    python tests/expected/update.py [results/demo]

Numbers, tables and drawn figures only: no image, no weights, no prediction. docs/checks.md says when.
"""

import shutil
import sys
from pathlib import Path

EXPECTED = Path(__file__).resolve().parent / "demo"
RUNS = ("runs/*/card.json", "runs/*/history.csv", "runs/*/*.parquet")
INPUTS = ("architectures.json", "cost.json", "baselines/*/*", *RUNS)
REPORT = ("comparison.csv", "tables/*/*.csv", "tables/*/*.md", "figures/*/*.svg")


def update(results: Path, expected: Path = EXPECTED) -> None:
    """Replace `expected` by the small files of `results`; ValueError when a kind of file is not there."""
    found = {pattern: [path for path in results.glob(pattern) if path.is_file()] for pattern in (*INPUTS, *REPORT)}
    missing = [pattern for pattern, paths in found.items() if not paths]
    if missing:
        raise ValueError(f"{results}: no {', no '.join(missing)}; run the demo to its end first")
    shutil.rmtree(expected, ignore_errors=True)
    for path in (path for paths in found.values() for path in paths):
        target = expected / path.relative_to(results)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


if __name__ == "__main__":
    try:
        update(Path(*sys.argv[1:2] or ["results/demo"]))
    except ValueError as error:
        sys.exit(str(error))
