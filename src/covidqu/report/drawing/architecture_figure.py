"""A network as a diagram: architectures.json in, one matplotlib figure out, laid out from the data alone.

Rows are sides of the feature maps, large ones above. The trunk is cut into runs of falling and of rising side: the
first falling one is the encoder, in the middle; a run of blocks that name one task is its branch, beside it. Blocks
have their place in the order of execution, their output (channels x height x width) and their parameters.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import TextPath

from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.provenance import full
from covidqu.report.core.published import OURS
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.colours import BLUE, GREEN, GREY, ORANGE, PURPLE
from covidqu.report.drawing.panels import wrapped

SIZE, LEADING = 8.0, 11.0  # points: letters of a box and its lines
PAD, GAP, AISLE, MARGIN = 6.0, 10.0, 46.0, 14.0  # points: inside a box, between boxes, between columns, at the edges
KIND = 30  # letters of a line of a block's kind
NARROW = 520.0  # points across: with less, title and notes would be longer than the network is high
SIDES = 54.0  # points on the left for the sides of the rows
BRANCHES = ("lung", "reconstruction", "infection")  # tasks whose output is a map
ENCODER, DECODER, TOP = "encoder", "decoder", "class head"
COLOURS = {ENCODER: BLUE, DECODER: ORANGE, "lung": GREEN, "reconstruction": GREEN, "infection": ORANGE, TOP: PURPLE}
CLASS_READS_MASKS = ("swin_dual",)  # systems whose class head sees the predicted masks; elsewhere the deepest map


@dataclass(eq=False)
class Box:
    """One block; `side` of its output is None for a vector. The layout fills in x, y (centre, points)."""

    name: str
    lines: list[str]
    side: int | None
    x: float = 0.0
    y: float = 0.0

    @property
    def high(self) -> float:
        """Points from its lower to its upper edge."""
        return len(self.lines) * LEADING + PAD

    @property
    def wide(self) -> float:
        """Points that it needs across; letters are measured, not counted."""
        fonts = [FontProperties(weight="normal" if place else "bold") for place in range(len(self.lines))]
        paths = [TextPath((0, 0), line, size=SIZE, prop=font) for line, font in zip(self.lines, fonts, strict=True)]
        return max(path.get_extents().width for path in paths) + 3 * PAD


@dataclass
class Column:
    """Blocks of one run, in the order of execution."""

    role: str
    boxes: list[Box] = field(default_factory=list)
    x: float = 0.0
    width: float = 0.0

    @property
    def rises(self) -> bool:
        """Whether the blocks are drawn from below."""
        return self.role != ENCODER and (self.boxes[-1].side or 0) >= (self.boxes[0].side or 0)

    def at(self, side: int | None) -> list[Box]:
        """Its blocks of one row, from top to bottom."""
        found = [box for box in self.boxes if box.side == side]
        return found[::-1] if self.rises else found


def architecture(sources: Sources, wanted: Wanted) -> Figure:
    """The network of a run with the paper's settings, or of ours at full size.

    ValueError when architectures.json is missing or older.
    """
    (run,) = wanted.runs
    entry = (sources.architectures or {}).get(run)
    if entry is None:
        raise ValueError(f"{sources.results}/architectures.json: missing or without {run}; run `architectures`")
    columns, head, unused = arranged(entry)
    # Paper 004's variant: its reconstruction sees the deepest map only.
    skipping = set() if getattr(sources.params.run(run).model, "reconstruction_skips", True) else {"reconstruction"}
    above = entry["system"] in CLASS_READS_MASKS
    width = _across(columns, head)
    size = entry["paper"]["input"]
    settings = "with the paper's settings"
    if entry["system"] in OURS:
        encoder = full(sources.params, run).get("model.encoder")
        settings = f"{f'on {encoder}, ' if encoder else ''}at full size"
    paper = entry["paper"]
    words = f"{wanted.title}, {paper['net']} {settings}, {paper['parameters']:,} parameters, input {_by(size[1:])}"
    notes = _notes(entry, columns, unused)
    top, bottom = [wrapped(words, round(width / 6.2)), wrapped_lines(notes, round(width / 4.7))]
    below = MARGIN + LEADING * (bottom.count("\n") + 1) + GAP
    rows, height = _down(columns, head, above, below)
    total = height + 14 * (top.count("\n") + 1) + 2 * MARGIN
    drawn = Figure(figsize=(width / 72, total / 72))
    axes = drawn.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, total))
    axes.set_axis_off()
    axes.text(width / 2, total - MARGIN, top, ha="center", va="top", fontsize=11)
    axes.text(MARGIN, MARGIN, bottom, ha="left", va="bottom", fontsize=SIZE, linespacing=LEADING / SIZE)
    _draw_rows(axes, rows, width)
    _draw_edges(axes, columns, head, above, skipping)
    for column in columns:
        _draw_column(axes, column, columns, height)
    for box in head:
        _draw_box(axes, box, box.wide, TOP)
    return drawn


def arranged(entry: dict[str, Any]) -> tuple[list[Column], list[Box], list[dict[str, Any]]]:
    """Columns from left to right, blocks that give vectors, and layers that the forward pass does not use."""
    layers, shape = entry["paper"]["layers"], entry["paper"]["input"]
    trunk = Column(ENCODER, [Box("input", ["input", _by(shape[1:])], shape[-1])])
    branches: dict[str, Column] = {}
    head: list[Box] = []
    for number, layer in enumerate((one for one in layers if one["out"] is not None), start=1):
        out = _last(layer["out"])
        side = out[-1] if len(out) == 4 else None
        task = next((t for t in BRANCHES if len(entry["tasks"]) > 1 and t in re.split(r"\W+", layer["name"])), None)
        box = Box(layer["name"], _words(number, layer, out), side)
        target = head if side is None else branches.setdefault(task, Column(task)).boxes if task else trunk.boxes
        target.append(box)
    encoder, *others = runs(trunk.boxes)
    if nested := passes([box for boxes in others for box in boxes]):
        others = nested
    beside = [Column(DECODER, boxes) for boxes in others] + list(branches.values())
    middle = len(branches) // 2  # of two branches one stands on either side of what they share
    columns = [*beside[:middle], Column(ENCODER, encoder), *beside[middle:]]
    return columns, head, [layer for layer in layers if layer["out"] is None]


def runs(boxes: list[Box]) -> list[list[Box]]:
    """Cut where the side of the maps turns from falling to rising or back; equal sides go on."""
    found, direction = [[boxes[0]]], 0
    for before, box in pairwise(boxes):
        step = ((box.side or 0) > (before.side or 0)) - ((box.side or 0) < (before.side or 0))
        if step and direction and step != direction:
            found.append([box])
            direction = 0
            continue
        direction = step or direction
        found[-1].append(box)
    return found


def passes(boxes: list[Box]) -> list[list[Box]]:
    """Blocks of a nested decoder by how many blocks of their row come before; what has no such name ends the last."""
    found: dict[int, list[Box]] = {}
    for box in boxes:
        if names := nested_name(box):
            depth, level = names
            found.setdefault(level - depth, []).append(box)
        elif found:
            found[max(found)].append(box)
    columns = [found[number] for number in sorted(found)]
    return [*columns[:-2], [*columns[-2], *columns[-1]]] if len(columns) > 2 else columns  # the last one has no row


def nested_name(box: Box) -> tuple[int, int] | None:
    """(d, l) of a block that smp calls `d_l`."""
    match = re.search(r"(\d+)_(\d+)$", box.name)
    return (int(match[1]), int(match[2])) if match else None


def _words(number: int, layer: dict[str, Any], out: list[int]) -> list[str]:
    """Name, kind over as many lines as it takes, output and parameters."""
    words = re.split(r"[.\s]+", layer["name"])
    kept = [word for word in words if word not in (*BRANCHES, "encoder", "decoders")] or words
    kept = kept[1:] if len(kept) > 2 and kept[0] == "decoder" else kept
    kind = wrapped(layer["kind"], KIND).split("\n")
    size = _by(out[1:]) if len(out) == 4 else f"{out[-1]} logit{'s' if out[-1] > 1 else ''}"
    return [f"{number}  {' '.join(kept)}", *kind, f"{size}   {layer['parameters']:,}"]


def _by(shape: Iterable[int]) -> str:
    return " × ".join(map(str, shape))


def _last(out: list[Any]) -> list[int]:
    """The shape, or the last one of several."""
    return out if isinstance(out[0], int) else _last(out[-1])


def _across(columns: list[Column], head: list[Box]) -> float:
    """Place the columns from left to right; returns the width of the figure in points."""
    for column in columns:
        column.width = max(box.wide for box in [*column.boxes, *(head if column.role == ENCODER else [])])
    needed = 2 * (MARGIN + SIDES) + sum(column.width + AISLE for column in columns) - AISLE
    x = MARGIN + SIDES + max(0.0, NARROW - needed) / 2
    for column in columns:
        extra = head if column.role == ENCODER else []
        column.x = x + column.width / 2
        x += column.width + AISLE
        for box in [*column.boxes, *extra]:
            box.x = column.x
    return max(needed, NARROW)


def _down(
    columns: list[Column], head: list[Box], above: bool, below: float
) -> tuple[list[tuple[str, float, float]], float]:
    """Place the rows; returns (label, lower end, upper end) of each and the upper end of all, in points."""
    maps = sorted({box.side for column in columns for box in column.boxes if box.side is not None})
    sides = [*maps, None] if above else [None, *maps]
    rows, y = [], below
    for side in sides if head else [side for side in sides if side]:
        stacks = [head] if side is None else [column.at(side) for column in columns]
        extent = max(sum(box.high + GAP for box in stack) for stack in stacks) + GAP
        for stack in stacks:
            spare = (extent - sum(box.high for box in stack)) / (len(stack) + 1)
            upper = y + extent
            for box in stack:
                box.y = upper - spare - box.high / 2
                upper -= spare + box.high
        rows.append(("classes" if side is None else f"{side} × {side}", y, y + extent))
        y += extent
    return rows, y + GAP + LEADING


def _notes(entry: dict[str, Any], columns: list[Column], unused: list[dict[str, Any]]) -> list[str]:
    """What the diagram cannot show, one line each."""
    parts = ", ".join(f"{part['name']} {part['parameters']:,}" for part in entry["paper"]["parts"])
    notes = [
        f"Parts: {parts}.",
        "Blocks: place in the order of execution and name; kind; channels × height × width of the output, parameters.",
    ]
    if _nested(columns):
        notes.append("Nested decoder: solid, the map from the row below; dashed, all earlier maps of the row.")
    else:
        notes.append("Dashed: the map of the encoder that goes to the decoder at the same side.")
    if any("cross attention" in layer["kind"] for layer in entry["paper"]["layers"]):
        notes.append("Cross attention: each branch reads the map of the other branch in the same row.")
    notes += [f"Not used: {one['name']} ({one['kind']}), {one['parameters']:,} parameters." for one in unused]
    if entry["parameters"] != entry["paper"]["parameters"]:
        notes.append(f"The run of these results is smaller or larger: {entry['parameters']:,} parameters.")
    return notes


def wrapped_lines(lines: list[str], width: int) -> str:
    """Each line wrapped by itself."""
    return "\n".join(wrapped(line, width) for line in lines)


def _nested(columns: list[Column]) -> bool:
    return sum(column.role == DECODER for column in columns) > 1


def _draw_rows(axes: Axes, rows: list[tuple[str, float, float]], width: float) -> None:
    for place, (label, low, high) in enumerate(rows):
        axes.text(MARGIN, (low + high) / 2, label, ha="left", va="center", fontsize=SIZE, color=GREY)
        if place % 2 == 0:
            axes.axhspan(low, high, color="black", alpha=0.035, linewidth=0, zorder=0)


def _draw_column(axes: Axes, column: Column, columns: list[Column], top: float) -> None:
    passes = [one for one in columns if one.role == DECODER]
    name = f"{DECODER}, pass {passes.index(column) + 1}" if column in passes and len(passes) > 1 else column.role
    axes.text(column.x, top - LEADING, name, ha="center", va="bottom", fontsize=10, weight="bold")
    for box in column.boxes:
        _draw_box(axes, box, column.width, column.role)


def _draw_box(axes: Axes, box: Box, wide: float, role: str) -> None:
    style = {"edgecolor": COLOURS[role], "linewidth": 1.0, "zorder": 2}
    corner = (box.x - wide / 2, box.y - box.high / 2)
    for fill in ({"facecolor": "white"}, {"facecolor": COLOURS[role], "alpha": 0.16}):  # lines end behind the box
        axes.add_patch(FancyBboxPatch(corner, wide, box.high, boxstyle="round,pad=0,rounding_size=4", **style, **fill))
    first = box.y + LEADING * (len(box.lines) - 1) / 2
    for place, line in enumerate(box.lines):
        weight = "normal" if place else "bold"
        axes.text(box.x, first - place * LEADING, line, ha="center", va="center_baseline", fontsize=SIZE, weight=weight)


def _draw_edges(axes: Axes, columns: list[Column], head: list[Box], above: bool, skipping: set[str]) -> None:
    """Arrows along the columns, from the encoder to the decoders, and to the class head."""
    encoder = next(column for column in columns if column.role == ENCODER)
    others = [column for column in columns if column is not encoder]
    nested = _nested(columns)
    if nested:
        _draw_nested(axes, encoder, others)
    for column in [encoder] if nested else columns:
        for one, other in pairwise(column.boxes):
            way = 1 if other.y > one.y else -1
            _arrow(axes, (one.x, one.y + way * one.high / 2), (other.x, other.y - way * other.high / 2))
    for column in [] if nested else others:
        way = 1 if column.x > encoder.x else -1
        ends = encoder.x + way * encoder.width / 2, column.x - way * column.width / 2
        _arrow(axes, (ends[0], encoder.boxes[-1].y), (ends[1], column.boxes[0].y))
        if column.role in skipping:
            continue
        for side in dict.fromkeys(box.side for box in column.boxes):
            maps = [box for box in encoder.boxes if box.side == side and box.name != "input"]
            if maps:
                _arrow(axes, (ends[0], maps[-1].y), (ends[1], _joined(column.at(side)).y), dashed=True)
    for box in head:
        if above:
            for last in (column.boxes[-1] for column in others):
                way = 1 if last.x > box.x else -1
                _arrow(axes, (last.x, last.y + last.high / 2), (box.x + way * box.wide / 2, box.y))
        else:
            last = encoder.boxes[-1]
            _arrow(axes, (box.x, last.y - last.high / 2), (box.x, box.y + box.high / 2))


def _draw_nested(axes: Axes, encoder: Column, others: list[Column]) -> None:
    """U-Net++ as smp runs it: block `d_l` reads `d_(l-1)`, or a map of the encoder, one row below; and, of its own row,
    the encoder's map and all blocks before it, drawn as a dashed chain. The last block has no row to read.
    """
    maps = sorted(encoder.boxes[1:], key=lambda box: box.side or 0)  # the deepest first
    places = {box: column for column in [encoder, *others] for box in column.boxes}
    boxes = [box for column in others for box in column.boxes]
    blocks = {names: box for box in boxes if (names := nested_name(box))}
    last = max(level for _, level in blocks)

    def joined(one: Box, other: Box, dashed: bool) -> None:
        if places[one] is places[other]:
            way = 1 if other.y > one.y else -1
            _arrow(axes, (one.x, one.y + way * one.high / 2), (other.x, other.y - way * other.high / 2))
            return
        half = places[one].width / 2, places[other].width / 2
        _arrow(axes, (one.x + half[0], one.y), (other.x - half[1], other.y), dashed)

    for (depth, level), box in blocks.items():
        joined(blocks[depth, level - 1] if level > depth else maps[depth], box, dashed=False)
        if level < last:
            joined(blocks[depth + 1, level] if level > depth else maps[level + 1], box, dashed=True)
    for one, other in pairwise(boxes):
        if one is blocks[0, last]:
            joined(one, other, dashed=False)


def _joined(stack: list[Box]) -> Box:
    """The block that takes the encoder's map: the first from below that is not the up-sampling itself."""
    return next((box for box in stack[::-1] if "up" not in re.split(r"\W+", box.name)), stack[-1])


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], dashed: bool = False) -> None:
    style = {"arrowstyle": "-|>", "color": GREY, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops={**style, "linestyle": (0, (4, 3)) if dashed else "-"}, zorder=1)
