"""Settings of the machine and of what people watch; no number depends on them, so no step does."""

from typing import Literal

from pydantic import Field

from covidqu.config.base import Strict


class Machine(Strict):
    """`workers`: processes that prepare batches; null: none on the CPU, one per spare core (16 at most) on a GPU.

    `logger`: where a training can be watched while it runs, beside its history; null: nowhere else.
    """

    workers: int | None = Field(ge=0, le=256, default=None)
    logger: Literal["tensorboard"] | None = None
