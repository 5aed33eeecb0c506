"""What a cell of a table is: measured or why not, what kind of value, in which unit; and how a missing number is told.

Output: three enumerations whose texts stand in the CSV files, and the exception `Missing`.
"""

from enum import StrEnum


class Status(StrEnum):
    """Whether a number of ours is there, else why none is."""

    MEASURED = "measured"
    NOT_RUN = "not run"  # could be had: a run, a step or data are not there
    UNDEFINED = "undefined"  # was asked for, and has no value: a class is never predicted, no image qualifies
    NO_OUTPUT = "no such output"  # this network gives nothing of the kind
    NOT_APPLICABLE = "not applicable"
    PRINTED_ONLY = "printed only"  # nothing of this project could measure it


class Kind(StrEnum):
    """What a value is of; only performance can be reproduced or missed."""

    DATA = "data"  # counts and properties of images
    ARCHITECTURE = "architecture"  # parameters of a network
    SETTING = "setting"
    PERFORMANCE = "performance"
    ARITHMETIC = "arithmetic"  # follows from other printed values
    DEFINITION = "by definition"  # no run could give another value


class Unit(StrEnum):
    """Unit of the numbers of a cell."""

    FRACTION = "fraction"
    PERCENT = "percent"
    DECIBEL = "dB"
    COUNT = "count"
    EPOCHS = "epochs"
    PIXELS = "pixels"


class Missing(Exception):
    """A number cannot be had: `status`, never `MEASURED`, and the reason in words."""

    def __init__(self, status: Status, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
