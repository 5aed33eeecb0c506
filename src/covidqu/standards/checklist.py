"""Step `claim`: the CLAIM checklist (2024 update), answered for this repository.

Input: `claim.yaml` of this package, one entry per item in words of our own. Output: Markdown with a link for each
answer. Source of the items: Tejani et al., Radiology: Artificial Intelligence 6(4), 2024, doi 10.1148/ryai.240300.
"""

import os
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import Field, ValidationError, model_validator

from covidqu.config.base import Strict
from covidqu.config.faults import explain
from covidqu.files import write_text
from covidqu.standards.rendering import render

ITEMS = 44
State = Literal["reported", "partly", "not reported", "not applicable"]


class Item(Strict):
    """One item: what it asks, whether and how it is met, and where (paths from the root of the repository)."""

    number: int = Field(ge=1, le=ITEMS)
    section: str
    asks: str
    state: State
    answer: str
    where: list[str]

    @model_validator(mode="after")
    def _shown(self) -> "Item":
        if self.state in ("reported", "partly") and not self.where:
            raise ValueError(f"item {self.number}: {self.state}, but no place is named")
        return self


class Checklist(Strict):
    items: list[Item]

    @model_validator(mode="after")
    def _complete(self) -> "Checklist":
        numbers = [item.number for item in self.items]
        if numbers != list(range(1, ITEMS + 1)):
            raise ValueError(f"items must be 1 to {ITEMS} in order, found {numbers}")
        return self


def checklist() -> list[Item]:
    """All items; ValueError names every fault of the file."""
    source = files("covidqu.standards") / "claim.yaml"
    try:
        return Checklist.model_validate(yaml.safe_load(source.read_text(encoding="utf-8"))).items
    except ValidationError as error:
        raise ValueError(f"claim.yaml: {explain(error, Checklist)}") from None


def claim(out: Path) -> None:
    """Write the checklist; links are relative to the folder of `out`, which must lie in the working tree."""
    items, up = checklist(), os.path.relpath(Path.cwd(), out.resolve().parent)
    states = {state: sum(item.state == state for item in items) for state in get_args(State)}
    write_text(out, render("claim.md", items=items, states=states, up=Path(up).as_posix()))
