"""The headline runs of `common/cross-system` in other tables and figures: their names and lines.

Input: sources. Output: row -> run, how each is drawn, and the heading of a figure of them.
"""

from matplotlib.figure import Figure

from covidqu.report.core.sources import Sources
from covidqu.report.drawing.colours import BLACK, BLUE, GREEN, GREY, LIGHT_BLUE, ORANGE, PURPLE
from covidqu.report.drawing.panels import wrapped
from covidqu.report.systems.cross_system import ROWS

HEADLINE_RUNS = {row: run for row, (run, _) in ROWS.items()}
DRAWN_AS = dict(  # row: colour, marker and line, told apart without colours, too
    zip(
        HEADLINE_RUNS,
        zip(
            (BLUE, ORANGE, GREEN, LIGHT_BLUE, PURPLE, GREY, BLACK),
            ("o", "s", "^", "D", "v", "P", "*"),
            ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (8, 2))),
            strict=True,
        ),
        strict=True,
    )
)


def require(sources: Sources) -> None:
    """ValueError when one of these runs has no scores."""
    for run in HEADLINE_RUNS.values():
        reason = sources.why_no_run(run)
        if reason:
            raise ValueError(f"{sources.folder(run)}: {reason}; run its `score` step")


def headed(drawn: Figure, title: str) -> None:
    """Put a title above a figure of these runs."""
    drawn.suptitle(wrapped(title, 115), fontsize=11)
