"""What a site that may be published leaves out: every image of a patient, with or without something drawn on it."""

from pathlib import Path

from covidqu.data.index import IMAGES
from covidqu.report.core.sources import Sources


class Public(Sources):
    """The same folders for a site without images of patients."""


def packed_images(sources: Sources) -> Path | None:
    """The packed images, where they are here and may be shown."""
    path = sources.data / "packed" / IMAGES
    return path if path.is_file() and not isinstance(sources, Public) else None


def figure_kinds(sources: Sources) -> tuple[str, ...]:
    """Endings of the figures that may be shown: those of images are PNG, all else is SVG."""
    return ("svg",) if isinstance(sources, Public) else ("svg", "png")
