"""The systems side by side, for README and docs/results.md: columns of `common/cross-system`, and what a run costs.

Input: the rows of common/cross-system.csv and, where it was made, of common/cost.csv. Output: Markdown text. The only
numbers that are not of these tables are the Dice values that papers print for chest X-rays, from `published`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from covidqu.report.core.heading import REDUCED, Heading
from covidqu.report.core.kinds import Status
from covidqu.report.core.measures import APART, OVER
from covidqu.report.core.published import printed
from covidqu.report.core.references import PREFIX
from covidqu.report.systems.cost import MINUTES, PARAMETERS
from covidqu.report.systems.cross_system import ACCURACY, DICE, LUNG, MEAN

TABLE, COST = "common/cross-system", "common/cost"
LARGE = {who: f"{OVER}, {who}" for who in APART.values()}
ON_CT = "on CT"
Cells = dict[tuple[str, str], dict[str, str]]  # (row, column) -> fields


class Shown(NamedTuple):
    """`name` here of a row of the table; `printed`: where its paper prints a Dice of chest X-rays, or words."""

    name: str
    row: str
    printed: tuple[str, str, str] | str = ""


ROWS = (
    Shown("`swin-dual`", "swin-dual", ("swin-dual/table-5", "COVID-19", "I.Dice")),
    Shown("`unetpp-b3`", "unetpp-b3", ("unetpp-b3/table-3", "COVID-19", "Dice")),
    Shown("`unet-roi`, lungs it predicts", "unet-roi, predicted ROI", ("unet-roi/table-4", "Mean Dice Score", "Value")),
    Shown("`cbam-mtl`", "cbam-mtl", ON_CT),
    Shown("`recon-mtl`", "recon-mtl", ON_CT),
    Shown("**`reference`, ours**", "reference (ours)"),
    Shown("no network: annotated lungs taken as infection", f"{PREFIX}lungs"),
    Shown("no network: no infection anywhere", f"{PREFIX}empty"),
)


def _share(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


COLUMNS: dict[str, tuple[str, str, Callable[[float], str]]] = {  # heading: table, column, how it is shown
    "infection Dice, COVID-19 images [95 % over images] ± SD over seeds": (TABLE, DICE, "{:.3f}".format),
    **{f"{who} images with > 1 % marked": (TABLE, column, _share) for who, column in LARGE.items()},
    "lung Dice": (TABLE, LUNG, "{:.3f}".format),
    "COVID-19 vs rest, accuracy": (TABLE, ACCURACY, "{:.3f}".format),
    "parameters": (COST, PARAMETERS, "{:,.0f}".format),
    "training, minutes on the idle device": (COST, MINUTES, "{:,.0f}".format),
}


BRIEF = [name for name, (_, column, _) in COLUMNS.items() if column in (DICE, *LARGE.values())]


def block(title: Heading, rows: Sequence[dict[str, str]], cost: Sequence[dict[str, str]]) -> str:
    """Markdown: one line on what this is, reduced or not, then the table; without empty columns of costs.

    `title`: that of common/cross-system; `rows`, `cost`: fields by column, as in the CSV files. ValueError when a row
    is missing.
    """
    cells, costs = _means(_by_key(rows)), _by_key(cost)
    body = [_fields(shown, cells, costs) for shown in _complete(cells, ROWS)]
    filled = [any(line[place] for line in body) for place in range(len(COLUMNS))]
    kept = [name for place, (name, (table, _, _)) in enumerate(COLUMNS.items()) if table == TABLE or filled[place]]
    return f"{_heading(title, cells, 'below')}\n\n{_markdown(kept, ROWS, body)}"


def brief(title: Heading, rows: Sequence[dict[str, str]]) -> str:
    """The same of all systems and one baseline, without costs, lungs and classes."""
    cells, shown = _means(_by_key(rows)), ROWS[:-1]
    body = [_fields(one, cells, {}) for one in _complete(cells, shown)]
    return f"{_heading(title, cells, 'in [docs/results.md](docs/results.md)')}\n\n{_markdown(BRIEF, shown, body)}"


def _complete(cells: Cells, shown: Sequence[Shown]) -> Sequence[Shown]:
    """`shown`, if the table has a row for each system."""
    missing = sorted({one.row for one in shown if not one.row.startswith(PREFIX)} - {row for row, _ in cells})
    if missing:
        raise ValueError(f"{TABLE}: holds no {', '.join(missing)}; make the table again")
    return shown


def _markdown(columns: Sequence[str], shown: Sequence[Shown], body: Sequence[Sequence[str]]) -> str:
    """A table with some of `COLUMNS`; `body` has the fields of all of them."""
    places = [list(COLUMNS).index(name) for name in columns]
    lines = [["", *columns, "its paper prints, infection Dice"], ["---"] * (len(columns) + 2)]
    lines += [
        [one.name, *(line[place] for place in places), printed_dice(one)] for one, line in zip(shown, body, strict=True)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _heading(title: Heading, cells: Cells, where: str) -> str:
    """What was reduced stands first, and where the list is; `n` of the first run that was scored."""
    reduced = f"{REDUCED}, listed {where}" if title.changed else ""
    marks = ": ".join(word for word in (title.prefix, reduced) if word)
    counts = {kind: [c["n"] for (_, column), c in cells.items() if column == wanted and c["n"]]
              for kind, wanted in {"COVID-19": DICE, **LARGE}.items()}  # fmt: skip
    images = ", ".join(f"{found[0]} {kind}" for kind, found in counts.items() if found)
    mark, behind = f"**{marks}.** " if marks else "", f" ({images} images)" if images else ""
    return f"{mark}{title.shows}{behind}."


def _fields(shown: Shown, cells: Cells, costs: Cells) -> list[str]:
    """One text per entry of `COLUMNS`; a run that was not made says so once, with the reason."""
    dice = cells.get((shown.row, DICE), {})
    if dice and dice["status"] != Status.MEASURED:
        return [f"{dice['status']}: {dice['note']}", *[""] * (len(COLUMNS) - 1)]
    found = []
    for table, column, write in COLUMNS.values():
        key = (shown.row, column) if table == TABLE else (dice.get("run", ""), column)
        found.append(_text((cells if table == TABLE else costs).get(key, {}), write, with_interval=column == DICE))
    return found


def _text(cell: dict[str, str], write: Callable[[float], str], *, with_interval: bool) -> str:
    if not cell.get("measured_correct"):
        return ""
    names = ("measured_correct", "ci_low", "ci_high", "sd")
    value, low, high, spread = (write(float(cell[c])) if cell.get(c) else "" for c in names)
    if with_interval and spread:
        first = f"; the first [{low}, {high}]" if low else ""
        return f"{value} ± {spread} over {cell['seeds']} seeds{first}"
    return f"{value} [{low}, {high}]" if with_interval and low else value


def _means(cells: Cells) -> Cells:
    """Where there are several seeds, their mean in the place of one of them, which leaves its interval over images."""
    several = {(row.removesuffix(MEAN), column): cell for (row, column), cell in cells.items() if row.endswith(MEAN)}
    bounds = ("ci_low", "ci_high")
    return cells | {key: cell | {b: cells.get(key, {}).get(b, "") for b in bounds} for key, cell in several.items()}


def printed_dice(shown: Shown) -> str:
    """What the paper prints, or words; empty where there is no paper."""
    if isinstance(shown.printed, str):
        return shown.printed
    table, row, column = shown.printed
    return str(printed(table)[row, column])


def _by_key(rows: Sequence[dict[str, str]]) -> Cells:
    return {(row["row"], row["column"]): row for row in rows}
