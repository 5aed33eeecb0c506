"""What stands above a table or figure."""

from collections.abc import Sequence
from typing import NamedTuple

REDUCED = "REDUCED OR CHANGED RUNS"


class Heading(NamedTuple):
    """What a table or figure is. `prefix`: `report.title`; `source`: paper or system, and number; `shows`: in words;
    `changed`: how the runs behind it, and those they start from, differ from the full ones.
    """

    prefix: str
    source: str
    shows: str
    changed: Sequence[str] = ()

    @property
    def named(self) -> str:
        """Source and words."""
        return f"{self.source}: {self.shows}" if self.source else self.shows

    @property
    def short(self) -> str:
        """One line; that runs were reduced or changed stands first, how is in `changed`."""
        marks = [self.prefix, REDUCED if self.changed else ""]
        before = ": ".join(mark for mark in marks if mark)
        return f"{before} - {self.named}" if before else self.named

    @property
    def text(self) -> str:
        """Everything in one line."""
        return " - ".join(part for part in (self.prefix, self.named, *self.changed) if part)
