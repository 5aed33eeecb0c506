"""Charts as Vega-Lite specifications, and the one file of JavaScript that draws them.

Colours and type come from the style sheet when a chart is drawn (assets/charts.js), so that both colour schemes share
one theme. Specifications hold colours only where they carry meaning.
"""

import json
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

from covidqu.config.data import CLASSES
from covidqu.report.drawing.colours import BLUE, CLASS_COLOURS, ORANGE

PRINTED, OTHER, PAPER, CORRECT = "printed", "printed, other images", "ours, paper's protocol", "ours, correct protocol"
KINDS = (PRINTED, OTHER, PAPER, CORRECT)
TWO_LINES = "split(datum.label, ': ')"  # the run, then what of it: a phone has no room for both side by side
NEUTRAL = "#8A8F98"  # stands out from both backgrounds


def bundle() -> str:
    """Vega, Vega-Lite and vega-embed in one script that needs no network."""
    return vl_convert.javascript_bundle()  # type: ignore[call-arg] # its stub does not know the snippet's default


def embedded(chart: alt.TopLevelMixin) -> Markup:
    """The specification as JSON that may stand inside a script element."""
    return as_json(json.loads(chart.to_json(validate=True)))


def as_json(value: Any) -> Markup:
    """JSON that cannot end the script element around it."""
    return Markup(json.dumps(value, separators=(",", ":")).replace("</", "<\\/"))


def headlines(values: list[dict[str, Any]]) -> alt.LayerChart:
    """Printed and measured headline numbers, one lane each. `values`: label, kind (of `KINDS`), lane, percent, low,
    high, shown.
    """
    colour = alt.Color(
        "kind:N", scale=alt.Scale(domain=KINDS, range=[NEUTRAL, NEUTRAL, BLUE, ORANGE]), legend=alt.Legend(title=None)
    )
    shape = alt.Shape(
        "kind:N",
        scale=alt.Scale(domain=KINDS, range=["diamond", "cross", "square", "circle"]),
        legend=alt.Legend(title=None),
    )
    labels = list(dict.fromkeys(value["label"] for value in values))
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(labelExpr=TWO_LINES, ticks=False, domain=False)),
        yOffset=alt.YOffset("lane:O", scale=alt.Scale(domain=[0, 1, 2], paddingOuter=0.6)),
        tooltip=[alt.Tooltip("label:N", title="what"), alt.Tooltip("kind:N", title="which"), "shown:N"],
    )
    percent = alt.X("percent:Q", scale=alt.Scale(domain=[0, 100]), title="percent")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x=percent, color=colour, shape=shape)
    spans = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2.5)
        .encode(x=alt.X("low:Q", title="percent"), x2="high:Q", color=colour)
    )
    return alt.layer(spans, points).properties(width="container", height=34 * len(labels))


def areas(values: list[dict[str, Any]], what: str) -> alt.Chart:
    """Share of images per bin of an area, one line per class. `values`: label, percent (left edge), end, share, n."""
    return (
        alt.Chart(alt.Data(values=values))
        .mark_area(interpolate="step-after", line={"strokeWidth": 1.5}, fillOpacity=0.12)
        .encode(
            x=alt.X("percent:Q", title=what),
            y=alt.Y("share:Q", title="share of the class's images", stack=None, axis=alt.Axis(format="%")),
            color=alt.Color(
                "label:N",
                scale=alt.Scale(domain=list(CLASSES), range=[CLASS_COLOURS[label] for label in CLASSES]),
                legend=alt.Legend(title=None),
            ),
            tooltip=[
                alt.Tooltip("label:N", title="class"),
                alt.Tooltip("percent:Q", title="from"),
                alt.Tooltip("end:Q", title="to"),
                alt.Tooltip("n:Q", title="images"),
            ],
        )
        .properties(width="container", height=240)
    )


def training() -> alt.Chart:
    """Curves of chosen runs; assets/curves.js fills in the values, the runs and the kind of scale."""
    return (
        alt.Chart(alt.Data(values=[]))
        .mark_line(point=alt.OverlayMarkDef(size=36, filled=True))
        .encode(
            x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
            color=alt.Color("run:N", legend=alt.Legend(title=None)),
            strokeDash=alt.StrokeDash(
                "part:N",
                scale=alt.Scale(domain=["validation", "training"], range=[[1, 0], [5, 4]]),
                legend=alt.Legend(title=None, symbolType="stroke", symbolSize=300),
            ),
            tooltip=["run:N", "part:N", "epoch:Q", alt.Tooltip("value:Q", format=".4f")],
        )
        .properties(width="container", height=380)
    )
