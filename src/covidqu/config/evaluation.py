"""Settings of scoring and reporting."""

from pydantic import Field

from covidqu.config.base import Seed, Strict


class Bootstrap(Strict):
    """Percentile bootstrap over images."""

    resamples: int = Field(ge=100, le=1_000_000)
    confidence: float = Field(gt=0.5, le=0.9999)
    seed: Seed


class Evaluate(Strict):
    bootstrap: Bootstrap
    protocol_batch: int = Field(ge=1, le=1_000_000)  # batch of the `batch8_seq` protocol


class Report(Strict):
    """`title` is put in front of every table title (a reduced variant names itself here)."""

    title: str = Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
    panel_cases: int = Field(ge=1, le=32)
