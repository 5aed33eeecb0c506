"""Reproducible COVID-QU-Ex pipeline: from the archive to the tables and figures of five papers."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """`covidqu.load`: see `covidqu.reading`, which is imported with its first use."""
    if name == "load":
        return importlib.import_module("covidqu.reading").load
    raise AttributeError(f"module 'covidqu' has no attribute '{name}'")
