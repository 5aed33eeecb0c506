"""Why a mask went wrong, as read by eye from the picture: hand-kept in `readings.yaml`, by image id.

Output: image id -> `Reading`; ValueError names every fault of the file.
"""

from functools import cache
from importlib.resources import files
from typing import Literal

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from covidqu.config.base import Strict
from covidqu.config.faults import explain

FILE = "readings.yaml"


class Reading(Strict):
    """`cause`: what the fault lies in; `words`: what is seen."""

    cause: Literal["annotation", "device", "projection", "model"]
    words: str = Field(min_length=1)


def parse(text: str, source: str) -> dict[str, Reading]:
    """Check one file's text; ValueError names `source` and every fault."""
    try:
        return TypeAdapter(dict[str, Reading]).validate_python(yaml.safe_load(text) or {})
    except ValidationError as error:
        raise ValueError(f"{source}: {explain(error, Reading)}") from None


@cache
def readings() -> dict[str, Reading]:
    """All readings of the package's file."""
    return parse((files("covidqu.report") / FILE).read_text(encoding="utf-8"), FILE)
