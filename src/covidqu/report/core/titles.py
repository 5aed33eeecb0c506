"""Headings: what a table or figure is, and how its runs differ from the full ones.

Input: cards of the runs (their complete settings) and the settings of the full runs. Output: a heading.
"""

from typing import Any

from covidqu.report.core.artefacts import Artefact, Table
from covidqu.report.core.heading import Heading
from covidqu.report.core.provenance import Setting, deviations
from covidqu.report.core.published import printed
from covidqu.report.core.sources import Sources


def heading(sources: Sources, one: Artefact) -> Heading:
    """The heading of a table or figure of the catalogue."""
    params, settings = sources.params, one.settings if isinstance(one, Table) else None
    changed = of_settings(deviations(params, settings)) if settings in params.resolved else []
    changed += deviation_texts(sources, one.behind(params))
    return Heading(params.report.title, one.source, one.shows, changed)


def deviation_texts(sources: Sources, runs: list[str]) -> list[str]:
    """One text per kind of deviation; runs are named when the table rests on more than one.

    Repetitions of a run with other seeds are one run with a number of seeds.
    """
    texts: dict[str, list[str]] = {}
    for run in runs:
        if sources.has_card(run):
            for words in _of_run(sources, run):
                texts.setdefault(words, []).append(run)
    known = _by_base(sources, [run for run in runs if sources.has_card(run)])
    several = len(_by_base(sources, runs)) > 1
    return [
        f"{_named(sources, names, known)}: {words}" if several or _by_base(sources, names) != known else words
        for words, names in texts.items()
    ]


def _by_base(sources: Sources, runs: list[str]) -> dict[str, list[str]]:
    """Base run -> those of its repetitions that are among `runs`."""
    found: dict[str, list[str]] = {}
    for run in runs:
        found.setdefault(sources.params.base(run), []).append(run)
    return found


def _named(sources: Sources, runs: list[str], known: dict[str, list[str]]) -> str:
    """Names of `runs`: a base run stands for its repetitions where all of them are there."""
    names, counts = [], []
    for base, repetitions in _by_base(sources, runs).items():
        whole = repetitions == known[base] and base in repetitions
        names += [base] if whole else repetitions
        counts += [len(repetitions)] if whole else [1] * len(repetitions)
    if len(names) > 1 and counts[0] > 1 and len(set(counts)) == 1:
        return f"{', '.join(names)} ({counts[0]} seeds each)"
    return ", ".join(
        f"{name} ({count} seeds)" if count > 1 else name for name, count in zip(names, counts, strict=True)
    )


def _of_run(sources: Sources, run: str) -> list[str]:
    card = sources.card(run)
    left = deviations(sources.params, run, card["config"])
    if "subset" in left and left["subset"].value == "lung":
        del left["subset"]
        return [_small_lung_set(sources, run, card), *of_settings(left)]
    return of_settings(left)


def deviations_of(sources: Sources, run: str) -> dict[str, Setting]:
    """Dotted key -> where the run's card differs from the full run; empty without a card."""
    return deviations(sources.params, run, sources.card(run)["config"]) if sources.has_card(run) else {}


def of_settings(changed: dict[str, Setting]) -> list[str]:
    """Texts for what differs from the full run: missing pre-training first, all else as a reduced run."""
    left, texts = dict(changed), []
    if "init" in left and left["init"].actual == "random" and str(left["init"].value).startswith("imagenet"):
        texts.append("NOT PRETRAINED (encoder weights: none)")
        del left["init"]
    if left:
        texts.append(f"REDUCED RUN ({'; '.join(setting.words for setting in left.values())})")
    return texts


def _small_lung_set(sources: Sources, run: str, card: dict[str, Any]) -> str:
    """Papers 000 and 002 train on the lung subset; its size is printed in paper 000, Table I."""
    images = card["train_images"] + card["val_images"]
    images += len(sources.scores(run)) if sources.why_no_run(run) is None else 0
    whole = printed("swin-dual/table-1")["Total", "Total"]
    what = "lung masks and classes" if "class" in card["config"]["loss"] else "lung masks"
    return f"{what} from the infection subset ({images:,} images), not from the {whole:,}-image lung subset"
