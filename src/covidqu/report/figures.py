"""Step `figures`: each figure as SVG, or PNG where it shows images.

Input: histories, the index, packed arrays, predictions; output: a file per figure, byte for byte the same on every run
(fixed hash salt, no date). The catalogue says which figures there are, and what draws each.
"""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from covidqu.config.params import Params
from covidqu.files import replacing
from covidqu.report import catalogue
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.sources import Sources
from covidqu.report.core.titles import Heading, heading

STYLE = {
    "svg.hashsalt": "covidqu",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.dpi": 150,
}


def figures(names: list[str], params: Params, data: Path, results: Path, out: Path) -> None:
    """Write `out`/{name}.svg or .png of the named figures, or of all."""
    sources = Sources(params, data, results)
    for name in names or catalogue.figures(params):
        figure(sources, name, out / f"{name}.{catalogue.figure(name, params).kind}")


def figure(sources: Sources, name: str, out: Path) -> None:
    """Write the figure `{system}/{name}` to `out`; ValueError when there is none, or what it shows is not there."""
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        save(draw(sources, name), out, heading(sources, catalogue.figure(name, sources.params)))


def draw(sources: Sources, name: str) -> Figure:
    """The figure called `name`, drawn by what the catalogue names."""
    found = catalogue.figure(name, sources.params)
    return found.function()(sources, Wanted(found.shown(sources.params), heading(sources, found).short))


def save(drawn: Figure, out: Path, heading: Heading) -> None:
    """Write without date and software version, so that the same numbers give the same bytes.

    The heading is the file's description: how runs were reduced is too long to stand in the picture.
    """
    kind = out.suffix.removeprefix(".")
    metadata = {"Description": heading.text, **({"Date": None} if kind == "svg" else {"Software": None})}
    with replacing(out) as part:
        drawn.savefig(part, format=kind, metadata=metadata)
