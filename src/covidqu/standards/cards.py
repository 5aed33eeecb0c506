"""Step `cards`: a model card for each run, the data card, and the data set in Croissant.

Input: cards and scores of runs, architectures.json, the index and the audit. Output, in the folder `out`:
`runs/{run}/README.md`, `data-card.md` and `croissant.json`. Nothing in them is typed by hand but the words around
the numbers.
"""

import sys
from pathlib import Path

from covidqu.config.params import Params
from covidqu.files import write_text
from covidqu.report.core.sources import Sources
from covidqu.standards.croissant import croissant
from covidqu.standards.data_card import data_card
from covidqu.standards.model_card import model_card


def cards(params: Params, files: list[Path], data: Path, results: Path, out: Path) -> None:
    """Write all cards; a run that was not trained has none, and is named.

    `files`: the parameter files behind `params`, for the command in each card.
    """
    sources = Sources(params, data, results)
    trained = [run for run in params.resolved if sources.has_card(run)]
    for run in trained:
        write_text(out / "runs" / run / "README.md", model_card(sources, run, files))
    write_text(out / "data-card.md", data_card(sources))
    write_text(out / "croissant.json", croissant(params, data / "raw" / "covidqu.zip"))
    absent = [run for run in params.resolved if run not in trained]
    if absent:
        print(f"cards: no card of runs that were not trained: {', '.join(absent)}", file=sys.stderr)
