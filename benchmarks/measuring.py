"""Measuring two ways in turns, and what a measurement is called."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

REPEATS = 5


@dataclass(frozen=True)
class Line:
    """One comparison. `ratio`: the baseline's time over ours, or what `goal` is about; `wanted`: the goal as a number,
    to be reached from below, or from above where `at_most` is set.
    """

    what: str
    baseline: str
    baseline_ms: float
    ms: float
    ratio: float
    goal: str = ""
    wanted: float | None = field(default=None)
    at_most: bool = field(default=False)

    @property
    def met(self) -> bool:
        """Whether the goal is reached; a line without one is."""
        if self.wanted is None:
            return True
        return self.ratio <= self.wanted if self.at_most else self.ratio >= self.wanted


def in_turns(unit: int, *ways: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Median milliseconds per unit of each way; all are called once before, to warm caches and code paths."""
    seconds: list[list[float]] = [[] for _ in ways]
    for way in ways:
        way()
    for _ in range(repeats):
        for place, way in enumerate(ways):
            started = time.perf_counter()
            way()
            seconds[place].append(time.perf_counter() - started)
    return [median(taken) / unit * 1e3 for taken in seconds]


def machine() -> str:
    """Processor, cores, instruction set and PyTorch's version."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {cores} cores{gpu}, {torch.backends.cpu.get_cpu_capability()}, PyTorch {torch.__version__}"
