"""Step `export`: one table or figure as a manuscript takes it.

Enters: what tables and figures read; leaves: a table of rows by columns as .tex (it wants the package booktabs), .md or
.csv, or a figure as .pdf, as wide as a column or a page, its texts real texts. The title, which says what the runs have
otherwise than the paper, is the caption: inside .tex and .md, in a .txt file beside .csv and .pdf.
"""

import re
from collections.abc import Callable
from math import floor, log10
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.lines import Line2D
from matplotlib.text import Text

from covidqu.config.params import Params
from covidqu.files import replacing, write_text
from covidqu.page.numbers import shown
from covidqu.report.core.cells import Cell, Table, Value, text
from covidqu.report.core.kinds import Status
from covidqu.report.core.sources import Sources
from covidqu.report.figures import STYLE, draw
from covidqu.report.tables import build

VECTOR = {"pdf.fonttype": 42}  # TrueType: text that can be selected, searched and edited
FILLED = 0.6  # share of cells with something in them from which a table is rows by columns
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
        write_text(out, f"# {table.title}\n\n{markdown(wide)}\n\n" + "\n\n".join(notes(table)) + "\n")
    else:
        write_text(out, flat(wide).to_csv(index_label="", lineterminator="\n"))
        write_text(out.with_suffix(".txt"), caption(table) + "\n")


def _measured(cell: Cell) -> str:
    """Under the correct protocol, with the interval, or the spread over seeds where there is no interval."""
    if not cell.measured:
        return "" if cell.status is Status.PRINTED_ONLY else str(cell.status)
    if cell.ci_low is not None and cell.ci_high is not None:
        return "{} [{}, {}]".format(*_supported(cell.measured_correct, cell.ci_low, cell.ci_high))
    value = _number(cell.measured_correct)
    return f"{value} ± {_number(cell.sd)}" if value and cell.sd is not None else value


def _of_paper(cell: Cell) -> str:
    """Under the paper's protocol, where that gives another number."""
    return "" if cell.measured_paper == cell.measured_correct else _number(cell.measured_paper)


KINDS: dict[str, Callable[[Cell], str]] = {
    "measured": _measured,
    "paper's protocol": _of_paper,
    "printed": lambda cell: text(cell.published),
}


def _number(value: Value) -> str:
    return shown(text(value))


def _supported(value: Value, low: float, high: float) -> list[str]:
    """A number and the ends of its interval with the decimals of two digits of the interval's width; three at least."""
    digits = 1 - floor(log10(high - low)) if high > low else 0
    decimals = max(digits, 3 if abs(low) <= 1 else 0)
    return [f"{number:,.{decimals}f}" for number in (value, low, high)]


def grid(table: Table) -> pd.DataFrame:
    """Texts by row and (column, kind), of `KINDS` those that hold anything; a level of one heading only is left out.

    A table that is mostly holes has one line per cell instead, and the kinds as columns.
    """
    rows, columns = ({getattr(c, place) for c in table.cells} for place in ("row", "column"))
    whole = len(table.cells) >= FILLED * len(rows) * len(columns)
    texts: dict[str, dict[tuple[str, str], str]] = {}
    for cell in table.cells:
        row, column = (cell.row, cell.column) if whole else (f"{cell.row}, {cell.column}", "")
        texts.setdefault(row, {}).update({(column, kind): write(cell) for kind, write in KINDS.items()})
    places = dict.fromkeys(place for line in texts.values() for place in line)  # a column's kinds are beside each other
    kept = [place for place in places if any(line.get(place) for line in texts.values())]
    body = [[line.get(place, "") for place in kept] for line in texts.values()]
    wide = pd.DataFrame(body, index=list(texts), columns=pd.MultiIndex.from_tuples(kept))
    single = [level for level in (0, 1) if wide.columns.get_level_values(level).nunique() == 1]
    return wide.droplevel(single[-1 if whole else 0], axis=1) if single else wide


def flat(wide: pd.DataFrame) -> pd.DataFrame:
    """One line of headings: the kind stands behind the column."""
    return wide.set_axis([name if isinstance(name, str) else ", ".join(name) for name in wide.columns], axis=1)


def notes(table: Table) -> list[str]:
    """What is shown, why something is not there, and the remarks of the table."""
    correct, papers = (
        sorted({getattr(c, place) for c in table.cells} - {""}) for place in ("protocol_correct", "protocol_paper")
    )
    found = [f"Measured: {', '.join(correct)}."] if correct else []
    found += ["In brackets: 95 % interval over images."] if any(c.ci_low is not None for c in table.cells) else []
    found += [f"Paper's protocol: {', '.join(papers)}."] if papers else []
    missing = dict.fromkeys(c.words for c in table.cells if not c.measured)
    return [*found, *(f"{words[0].upper()}{words[1:]}." for words in missing), *table.remarks]


def caption(table: Table) -> str:
    """Title and notes in one paragraph."""
    return " ".join([f"{table.title}.", *notes(table)])


def markdown(wide: pd.DataFrame) -> str:
    """A Markdown table."""
    one = flat(wide)
    lines = [["", *one.columns], ["---"] * (len(one.columns) + 1), *one.itertuples(name=None)]
    return "\n".join("| " + " | ".join(words.replace("|", "\\|") for words in line) + " |" for line in lines)


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
    write_text(out.with_suffix(".txt"), words + "\n")


def without_title(drawn: Figure) -> str:
    """Take the title off a figure, and what stands below it of how its runs differ; both in one line."""
    words = [drawn.get_suptitle(), drawn.get_supxlabel()]
    if words[0]:
        for placed in (drawn._suptitle, drawn._supxlabel):  # there is no public way to have no title again
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
        placed.set_fontsize(placed.get_fontsize() * scale)
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
    for axes, place in zip(drawn.axes, grid, strict=True):
        axes.set_subplotspec(place)
        axes.tick_params(labelleft=True)
    drawn.set_size_inches(max(wide / len(panels), STACKED[0]), high * len(panels) * STACKED[1])
