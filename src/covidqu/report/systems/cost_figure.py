"""Figure `common/cost`: infection Dice against the cost of use and of training.

Input: cost.json, cards and scores. Output: one matplotlib figure. Headline runs are named and have an interval; the
other runs of a system with an infection mask are small, in its colour.
"""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from matplotlib.transforms import Bbox

from covidqu.evaluate.statistics import Interval
from covidqu.report.core.artefacts import Wanted
from covidqu.report.core.measures import HEADLINE, measure
from covidqu.report.core.runs import with_infection
from covidqu.report.core.sources import Sources
from covidqu.report.systems.cost import device, entry, gflops, training_minutes, why_no_cards, why_no_cost
from covidqu.report.systems.headline_runs import DRAWN_AS, HEADLINE_RUNS, headed, require

SMALL, LARGE = 3.5, 7.0  # points
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))  # of a marker: right, up
AWAY = (7, 14, 24, 36, 50, 70, 95, 125)  # points between marker and name: the nearest that is free
NAME = 8.5  # font size


@dataclass(frozen=True)
class Point:
    """One run. `row`: its name in the figure, or that of its system's first headline run; `costs`: x of each panel."""

    row: str
    headline: bool
    dice: Interval
    costs: tuple[float, float]

    @property
    def bar(self) -> tuple[float, float]:
        """Its ends: those of the interval, the value where there is none."""
        value, low, high = self.dice
        return value if low is None else low, value if high is None else high


def figure(sources: Sources, wanted: Wanted) -> Figure:
    """Dice against GFLOPs of one image and against minutes of training, both logarithmic.

    ValueError when a headline run has no scores or no costs.
    """
    require(sources)
    for run in HEADLINE_RUNS.values():
        if reason := why_no_cost(sources, run) or why_no_cards(sources, run):
            raise ValueError(f"{sources.results}/cost.json: {reason}; run the step `cost`")
    drawn = Figure(figsize=(12, 7), layout="constrained")
    places, found = drawn.subplots(1, 2, sharey=True), points(sources)
    speed = entry(sources, next(iter(HEADLINE_RUNS.values())))["inference"]
    labels = ("GFLOPs per image, as deployed", f"training, minutes at measured speed ({device(speed)})")
    for place, axes in enumerate(places):
        for point in found:
            _draw(axes, point, point.costs[place])
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.margins(x=0.12)
        axes.set_xlabel(labels[place])
    places[0].set_ylabel("mean infection Dice, COVID-19 images")
    confidence = sources.params.evaluate.bootstrap.confidence
    words = f"{wanted.title}; bars: {confidence:.0%} interval over images; small: other runs"
    headed(drawn, words)
    FigureCanvasAgg(drawn)
    drawn.draw_without_rendering()  # from here on axes stay where they are
    for place, axes in enumerate(places):
        name_points(axes, found, place)
    return drawn


def points(sources: Sources) -> list[Point]:
    """Headline runs, then the other base runs with an infection mask of which Dice and cost are known."""
    params, rows = sources.params, {run: row for row, run in HEADLINE_RUNS.items()}
    of_system = {params.run(run).model.system: row for run, row in reversed(rows.items())}
    others = [run for run in with_infection(params) if run not in rows]
    found = []
    for run in [*rows, *others]:
        if any(why(sources, run) for why in (Sources.why_no_run, why_no_cost, why_no_cards)):
            continue
        dice = measure(HEADLINE, sources.scores(run), "infection", "dice", params.evaluate)
        row, costs = of_system[params.run(run).model.system], (gflops(sources, run), training_minutes(sources, run))
        found.append(Point(rows.get(run, row), run in rows, dice, costs))
    return found


def _draw(axes: Axes, point: Point, x: float) -> None:
    colour, marker, _ = DRAWN_AS[point.row]
    value, (low, high) = point.dice[0], point.bar
    if not point.headline:
        axes.plot(x, value, marker=marker, color=colour, markersize=SMALL, alpha=0.6, linestyle="none")
        return
    reach = [[max(value - low, 0)], [max(high - value, 0)]]
    axes.errorbar(x, value, yerr=reach, color=colour, marker=marker, markersize=LARGE, capsize=2, linewidth=1.2)


def name_points(axes: Axes, found: list[Point], place: int) -> None:
    """Names beside the markers of headline runs, where neither a marker, nor a bar, nor another name stands."""
    pixels, frame = axes.figure.dpi / 72, axes.get_window_extent()
    taken = [box for point in found for box in _boxes(axes, point, place)]
    for point in (point for point in found if point.headline):
        at, size, colour = _pixel(axes, point, place), _size(axes, point.row), DRAWN_AS[point.row][0]
        options = [(away, _beside(at, side, away * pixels, size)) for away in AWAY for side in SIDES]
        free = ((away, box) for away, box in options if not box.count_overlaps(taken) and _within(box, frame))
        away, box = next(free, options[0])
        taken.append(box)
        axes.annotate(
            point.row,
            (point.costs[place], point.dice[0]),
            xytext=((box.x0 - at[0]) / pixels, (box.y0 - at[1]) / pixels),
            textcoords="offset points",
            fontsize=NAME,
            color=colour,
            arrowprops=None if away == AWAY[0] else {"arrowstyle": "-", "linewidth": 0.6, "color": colour},
        ).set_in_layout(False)


def _pixel(axes: Axes, point: Point, place: int) -> tuple[float, float]:
    x, y = axes.transData.transform((point.costs[place], point.dice[0]))
    return float(x), float(y)


def _boxes(axes: Axes, point: Point, place: int) -> list[Bbox]:
    """What a point covers: its marker, and the bar of a headline run."""
    x, y = _pixel(axes, point, place)
    half = (LARGE if point.headline else SMALL) * axes.figure.dpi / 72 / 2
    low, high = (axes.transData.transform((point.costs[place], end))[1] for end in point.bar)
    bar = [Bbox([[x - 2, low], [x + 2, high]])] if point.headline else []
    return [Bbox([[x - half, y - half], [x + half, y + half]]), *bar]


def _size(axes: Axes, words: str) -> tuple[float, float]:
    """Width and height of a name in pixels."""
    text = axes.text(0, 0, words, fontsize=NAME)
    box = text.get_window_extent()
    text.remove()
    return box.width, box.height


def _beside(at: tuple[float, float], side: tuple[int, int], away: float, size: tuple[float, float]) -> Bbox:
    """Where a name stands on one side of a point: ends there, begins there, or is centred."""
    low = [at[i] + side[i] * away - size[i] * (1 - side[i]) / 2 for i in (0, 1)]
    return Bbox([low, [low[0] + size[0], low[1] + size[1]]])


def _within(box: Bbox, frame: Bbox) -> bool:
    return frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
