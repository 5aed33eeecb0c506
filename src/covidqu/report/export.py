"""Step `export`: one table or figure as a manuscript takes it.

Input: what tables and figures read. Output: a table of rows by columns as .tex (it wants the package booktabs), .md or
.csv, or a figure as .pdf, as wide as a column or a page, its texts real texts. The title, which says how the runs
differ from the paper's, is the caption: inside .tex and .md, in a .txt file beside .csv and .pdf.
"""

import re
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.text import Text

from covidqu.config.params import Params
from covidqu.files import replacing, write_text
from covidqu.report import catalogue
from covidqu.report.core.cells import Table
from covidqu.report.core.sources import Sources
from covidqu.report.core.titles import heading
from covidqu.report.core.wide import flat, grid, notes, page
from covidqu.report.figures import STYLE, draw
from covidqu.report.tables import build

VECTOR = {"pdf.fonttype": 42}  # TrueType: text that can be selected, searched and edited
SMALLEST = 4.0  # points: the letters of a figure that is made small
STACKED = 7.0, 0.75  # inches at least of a figure whose panels are put below each other; how high those are then
LATEX = str.maketrans(
    {character: rf"\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
)


def export(
    kind: str, name: str, params: Params, data: Path, results: Path, out: Path, width: float | None = None
) -> None:
    """Write the "table" or "figure" `name` to `out`; `width` of a figure in inches, 7 by default.

    ValueError for a name that there is not, a suffix that there is not, and a table with a width.
    """
    suffixes = {"table": (".tex", ".md", ".csv"), "figure": (".pdf",)}[kind]
    if out.suffix not in suffixes:
        raise ValueError(f"--out {out}: a {kind} is written as {', '.join(suffixes)}; name a file with that suffix")
    sources = Sources(params, data, results)
    if kind == "figure":
        write_figure(sources, name, out, width or 7.0)
    elif width:
        raise ValueError("--width: is for figures; leave it out")
    else:
        write_table(build(sources, name), out)


def write_table(table: Table, out: Path) -> None:
    """Write a table in the form that the suffix of `out` names."""
    wide = grid(table)
    if out.suffix == ".tex":
        write_text(out, latex(wide, caption(table), table.name))
    elif out.suffix == ".md":
        write_text(out, page(table))
    else:
        write_text(out, flat(wide).to_csv(index_label="", lineterminator="\n"))
        write_text(out.with_suffix(".txt"), caption(table) + "\n")


def caption(table: Table) -> str:
    """Title and notes in one paragraph."""
    return " ".join([f"{table.heading.text}.", *notes(table)])


def latex(wide: pd.DataFrame, words: str, name: str) -> str:
    """A `table` environment: lines of booktabs, the columns of the table over their kinds.

    A row that begins with a bracket or a star would be an argument of the end of the line before it.
    """
    escaped = wide.map(tex).rename(index=lambda row: "{}" + tex(row) if row[0] in "[*" else tex(row), columns=tex)
    return escaped.style.to_latex(
        hrules=True,
        column_format="l" * (len(wide.columns) + 1),
        multicol_align="c",
        position_float="centering",
        label=f"tab:{name.replace('/', ':')}",
        caption=re.sub(r"`([^`]*)`", r"\\texttt{\1}", tex(words)),
    )


def tex(words: str) -> str:
    """Text as LaTeX takes it."""
    return words.translate(LATEX)


def write_figure(sources: Sources, name: str, out: Path, width: float) -> None:
    """Write a figure of `width` inches, and its caption beside it. ValueError as of `figures.figure`."""
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE, **VECTOR}):
        drawn = draw(sources, name)
        words = without_title(drawn)
        fit(drawn, width)
        with replacing(out) as part:
            drawn.savefig(part, format="pdf", metadata={"CreationDate": None})
    changed = heading(sources, catalogue.figure(name, sources.params)).changed
    write_text(out.with_suffix(".txt"), " - ".join([words, *changed]) + "\n")


def without_title(drawn: Figure) -> str:
    """Take the title off a figure, and what stands below it of how its runs differ; both in one line."""
    words = [drawn.get_suptitle(), drawn.get_supxlabel()]
    if words[0]:
        # there is no public way to have no title again
        for placed in (drawn._suptitle, drawn._supxlabel):  # type: ignore[attr-defined]
            if placed is not None:
                placed.set_text("")
                placed.set_in_layout(False)
    else:  # a network: its first text, above everything, in axes measured in points
        (axes,) = drawn.axes
        title = axes.texts[0]
        words[0], bottom = title.get_text(), title.get_window_extent().y0 * 72 / drawn.dpi
        title.remove()
        axes.set_ylim(0, bottom)
        drawn.set_figheight(bottom / 72)
    return " ".join(" ".join(part.split()) for part in words if part)


def fit(drawn: Figure, width: float) -> None:
    """Make a figure smaller or larger with all that is in it, its panels below each other where that is needed.

    ValueError where nobody could read it.
    """
    if _letters(drawn, width) < SMALLEST:
        _stack(drawn)
    if _letters(drawn, width) < SMALLEST:
        raise ValueError(f"--width {width:g}: letters would have {_letters(drawn, width):.1f} points; make it wider")
    scale = width / drawn.get_figwidth()
    drawn.set_size_inches(drawn.get_size_inches() * scale)
    for placed in drawn.findobj(Text):
        placed.set_fontsize(float(placed.get_fontsize()) * scale)
    for line in drawn.findobj(Line2D):
        line.set_linewidth(line.get_linewidth() * scale)
        line.set_markersize(line.get_markersize() * scale)


def _letters(drawn: Figure, width: float) -> float:
    """Points of the letters of a figure that is made `width` inches wide."""
    return mpl.rcParams["font.size"] * width / drawn.get_figwidth()


def _stack(drawn: Figure) -> None:
    """Put panels that stand side by side below each other; other figures stay as they are."""
    panels = [axes.get_subplotspec() for axes in drawn.axes]
    if len(panels) < 2 or any(panel is None or panel.get_gridspec().nrows > 1 for panel in panels):
        return
    grid, (wide, high) = GridSpec(len(panels), 1, figure=drawn), drawn.get_size_inches()
    for row, axes in enumerate(drawn.axes):
        axes.set_subplotspec(grid[row, 0])
        axes.tick_params(labelleft=True)
    drawn.set_size_inches(max(wide / len(panels), STACKED[0]), high * len(panels) * STACKED[1])
