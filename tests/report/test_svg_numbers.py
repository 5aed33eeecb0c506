"""Two figures of matplotlib are told apart by what they show, and by nothing else."""

import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from covidqu.report.checks.svg_numbers import compare_svg, parts


def drawn(salt: str = "a", label: str = "AUC 0.97", height: float = 0.5, share: float = 0.2) -> str:
    """A curve with a label, and a matrix whose colour is a number."""
    figure, out = Figure(figsize=(6, 3)), io.StringIO()
    left, right = figure.subplots(1, 2)
    left.plot([0, 1, 2], [0, height, 1], marker="o", label=label)
    left.set_ylim(0, 1)
    left.legend(loc="upper left")
    right.pcolormesh(np.array([[0.1, share]]), vmin=0, vmax=1)
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def test_the_same_figure_with_other_hashes_is_the_same() -> None:
    one, other = drawn("a"), drawn("b")
    assert one != other
    assert compare_svg(one, other) == []


def test_a_moved_number_in_a_text_is_shown() -> None:
    (fault,) = [words for words in compare_svg(drawn(), drawn(label="AUC 0.98")) if "text moved" in words]
    assert re.fullmatch(r"figure_1/axes_1/legend_1/text_\d+: text moved: 'AUC 0.97' -> 'AUC 0.98'", fault)


def test_a_moved_point_is_measured_in_points() -> None:
    (fault,) = compare_svg(drawn(), drawn(height=0.6))
    place, words = fault.split(": ", 1)
    assert re.fullmatch(r"figure_1/axes_1/line2d_\d+", place)
    found = re.fullmatch(r"2 coordinates moved, the farthest (\S+) -> (\S+) \(tolerance 0.01\)", words)  # line, marker
    assert found is not None, words
    axis = 3 * 72 * (mpl.rcParams["figure.subplot.top"] - mpl.rcParams["figure.subplot.bottom"])
    assert float(found[1]) - float(found[2]) == pytest.approx(0.1 * axis, abs=1e-3)


def test_the_tolerance_covers_coordinates_only() -> None:
    assert compare_svg(drawn(), drawn(height=0.5 + 1e-5)) == []
    assert compare_svg(drawn(), drawn(height=0.5 + 1e-3)) != []
    assert compare_svg(drawn(), drawn(height=0.5 + 1e-3), tolerance=1) == []
    assert compare_svg(drawn(), drawn(label="AUC 0.98"), tolerance=1000) != []


def test_a_colour_is_a_number_too() -> None:
    (fault,) = compare_svg(drawn(), drawn(share=0.9))
    assert "shape or colour moved: 'fill: #" in fault


def test_lost_new_and_longer_parts_are_named() -> None:
    whole = drawn()
    place = next(name for name in parts(whole) if "legend_1/text_" in name)
    without = whole.replace(f'<g id="{place.rsplit("/", 1)[1]}">', '<g id="other">')
    assert compare_svg(whole, without) == [f"{place}: is missing", f"{place.rsplit('/', 1)[0]}/other: is new"]
    longer = re.sub(r'(<path d="M [^"]*)(" clip-path)', r"\1L 1 1\2", whole, count=1)
    assert longer != whole
    assert [words for words in compare_svg(whole, longer) if re.search(r"\d+ coordinates -> \d+$", words)]


def test_a_broken_file_is_refused() -> None:
    with pytest.raises(ValueError, match="not well-formed SVG"):
        compare_svg(drawn(), "<svg>")
