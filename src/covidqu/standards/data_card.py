"""Data card of the images behind the results (format: Gebru et al. 2021, as the hub reads it).

Input: the index, the audit and the archive's pin in the parameters. Output: Markdown with a YAML block. What the
audit did not find out, or where it was not made, is said in words.
"""

from typing import Any

import pandas as pd
from huggingface_hub import DatasetCardData

from covidqu.config.data import CLASSES, SPLITS, SUBSETS
from covidqu.report.core.sources import Sources
from covidqu.report.papers.counts import counted
from covidqu.report.systems.data import flatten
from covidqu.standards.evaluation import dataset
from covidqu.standards.rendering import card_text

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))  # the hub's words, below so many images
FAULTS = {  # key of the audit's `faults`: words
    "counts": "counts that differ from the papers' tables",
    "exact_duplicates": "pairs with identical pixels inside a subset",
    "near_duplicates": "pairs of near-duplicates",
    "label_conflicts": "pairs with different labels",
    "split_disagreement": "images that the two subsets put into different splits",
}
AREAS = {"mean_lung_area": "lungs", "mean_infected_area": "infection of COVID-19 images"}  # key of audit.json: words


def data_card(sources: Sources) -> str:
    """The card's text; without packed data it says that the counts were not made."""
    params, index = sources.params, sources.index
    phantom = params.download.source == "phantom"
    return card_text(
        _header(dataset(params), phantom, index),
        "data_card.md",
        title=params.report.title,
        dataset=dataset(params),
        phantom=phantom,
        source=params.download.source,
        pin=params.download.kaggle,
        splits=SPLITS,
        labels=CLASSES,
        counts=None if index is None else counts(index),
        audit=sources.audit,
        faults=faults(sources.audit),
        duplicates=None if sources.duplicates is None else len(sources.duplicates),
        areas=areas(sources.audit),
        copies=params.audit.copies,
        folds=params.split.folds,
    )


def _header(name: str, phantom: bool, index: pd.DataFrame | None) -> DatasetCardData:
    sizes = [] if index is None else [word for limit, word in SIZES if len(index) < limit]
    return DatasetCardData(
        pretty_name=name,
        language="en",
        license="mit" if phantom else "cc-by-sa-4.0",
        task_categories=["image-segmentation", "image-classification"],
        size_categories=sizes[0] if sizes else None,
        tags=["chest-x-ray", "covid-19", "not-for-diagnosis", *(["synthetic"] if phantom else [])],
    )


def counts(index: pd.DataFrame) -> dict[str, dict[str, list[int]]]:
    """Subset -> class or Total -> images in Train, Val, Test and all; subsets that are not there are left out."""
    rows = {**{label: label for label in CLASSES}, "Total": None}
    return {
        subset: {
            row: [counted(index, subset, split, label) for split in (*SPLITS, None)] for row, label in rows.items()
        }
        for subset in SUBSETS
        if (index["subset"] == subset).any()
    }


def faults(audit: dict[str, Any] | None) -> dict[str, int | None]:
    """What was searched for, in words -> how often it was found; None where the audit could not tell."""
    found = dict((audit or {}).get("faults", {}))
    if audit and audit.get("pairs", {}).get("shared_images") is None:
        found["split_disagreement"] = None  # one subset alone cannot disagree with itself
    return {words: found[key] for key, words in FAULTS.items() if key in found}


def areas(audit: dict[str, Any] | None) -> dict[str, float]:
    """Mean annotated areas as shares of the image: what, subset and class or split, in words."""
    wanted = {words: (audit or {}).get(key) for key, words in AREAS.items()}
    return {name.replace(".", ", "): value for name, value in flatten(wanted) if isinstance(value, float)}
