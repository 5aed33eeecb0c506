"""Settings of scoring and reporting."""

from pydantic import Field

from covidqu.config.base import Strict


class Bootstrap(Strict):
    """Percentile bootstrap over images."""

    resamples: int = Field(ge=100)
    confidence: float = Field(gt=0.5, lt=1)
    seed: int


class Evaluate(Strict):
    bootstrap: Bootstrap
    protocol_batch: int = Field(ge=1)  # batch of the `batch8_seq` protocol


class Report(Strict):
    """`title` is put in front of every table title (a reduced variant names itself here)."""

    title: str
    panel_cases: int = Field(ge=1)
