"""Page methods.html: protocols with their formulas, intervals, the rule of verdicts, limits.

Input: the parameters and the definitions that scoring uses. Output: values for the template.
"""

from typing import Any

from markupsafe import Markup

from covidqu.config.params import Params
from covidqu.evaluate.protocols import PROTOCOLS
from covidqu.page.runs import RunState
from covidqu.report.core.verdict import RULE

UNITS = {
    "image": "mean over images",
    "pixel": "pixels of all images pooled",
    "batch": "mean over batches of images",
}
IMAGES = {"all": "all test images", "foreground": "images with an annotated mask", "empty": "images without one"}


def context(params: Params, runs: list[RunState]) -> dict[str, Any]:
    """Values of the template."""
    return {
        "protocols": [
            (known, UNITS[known.unit], IMAGES[known.images], FORMULAS[known.name]) for known in PROTOCOLS.values()
        ],
        "bootstrap": params.evaluate.bootstrap,
        "batch": params.evaluate.protocol_batch,
        "rule": RULE,
        "reduced_runs": [run for run in runs if run.card and run.changed],
        "not_pretrained": [run.name for run in runs if run.card and run.not_pretrained],
        "single_seeds": all(len(params.seeds(name)) == 1 for name in params.base_runs),
    }


def _math(body: str) -> Markup:
    return Markup(f'<math display="block">{body}</math>')


def _fraction(top: str, bottom: str) -> str:
    return f"<mfrac><mrow>{top}</mrow><mrow>{bottom}</mrow></mfrac>"


def _mean(over: str, body: str) -> str:
    return (
        f"<mfrac><mn>1</mn><mrow><mo>|</mo><mi>{over}</mi><mo>|</mo></mrow></mfrac>"
        f"<munder><mo>∑</mo><mrow><mi>i</mi><mo>∈</mo><mi>{over}</mi></mrow></munder>{body}"
    )


_DICE = _fraction(
    "<mn>2</mn><msub><mi>I</mi><mi>i</mi></msub>",
    "<msub><mi>P</mi><mi>i</mi></msub><mo>+</mo><msub><mi>G</mi><mi>i</mi></msub>",
)
_SMOOTH = _fraction(
    "<mn>2</mn><msub><mi>I</mi><mi>i</mi></msub><mo>+</mo><mn>1</mn>",
    "<msub><mi>P</mi><mi>i</mi></msub><mo>+</mo><msub><mi>G</mi><mi>i</mi></msub><mo>+</mo><mn>1</mn>",
)
_SUM_I = "<mn>2</mn><mo>∑</mo><msub><mi>I</mi><mi>i</mi></msub>"
_SUM_PG = "<mo>∑</mo><mo>(</mo><msub><mi>P</mi><mi>i</mi></msub><mo>+</mo><msub><mi>G</mi><mi>i</mi></msub><mo>)</mo>"
_AREA = _fraction("<msub><mi>P</mi><mi>i</mi></msub>", "<mi>H</mi><mi>W</mi>")
FORMULAS = {  # Dice of each protocol; P: predicted, G: annotated, I: both, in pixels of image i (or batch i)
    "img_covid": _math(_mean("G>0", _DICE)),
    "pooled_covid": _math(_fraction(_SUM_I, _SUM_PG)),
    "pooled_all": _math(_fraction(_SUM_I, _SUM_PG)),
    "fp_normal": _math(_mean("G=0", _AREA)),
    "fp_pneumonia": _math(_mean("G=0", _AREA)),
    "img_smooth1": _math(_mean("all", _SMOOTH)),
    "batch8_seq": _math(_mean("batches", _DICE)),
    "img_all_e1": _math(_mean("all", _DICE)),
    "img_all_e0": _math(_mean("all", _DICE)),
}
