"""Table `common/pairwise`: every pair of headline runs on the same test images, with paired intervals and tests.

Input: scores of runs. Output: cells, a row per pair. Each test of a question is one family over all pairs that can be
asked it, and its p values are adjusted within the family (Holm).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np

from covidqu.evaluate import comparisons
from covidqu.evaluate.protocols import per_image
from covidqu.evaluate.statistics import bootstrap_difference
from covidqu.report.core.cells import Cell, p_value
from covidqu.report.core.differences import Difference, on_shared_images
from covidqu.report.core.measures import (
    APART,
    FALSE_POSITIVES,
    HEADLINE,
    MARKED,
    Found,
    Number,
    class_protocol,
    joined,
)
from covidqu.report.core.run_cells import evaluate, measured, not_run
from covidqu.report.core.sources import Sources
from covidqu.report.systems.cross_system import ACCURACY, AUC, COVID, covid_against_rest
from covidqu.report.systems.headline_runs import HEADLINE_RUNS

SHARES = {  # measure's name: protocol, measure
    f"{column}, {who}": (protocol, FALSE_POSITIVES[column]) for column in MARKED for protocol, who in APART.items()
}


Answer = tuple[Cell, tuple[float, ...]]  # a difference, and p of each test


@dataclass(frozen=True)
class Question:
    """What is compared, by which tests, each a family; `compare` gives the difference and a p of each test.

    ValueError where it cannot.
    """

    what: str
    tests: tuple[str, ...]
    compare: Callable[[Sources, str, str, str], Answer]
    of_class: bool = False


def table(sources: Sources) -> list[Cell]:
    """Differences of the first run minus the second, p values, and p values adjusted for all pairs."""
    return [cell for question in QUESTIONS for cell in _family(sources, question)]


def _family(sources: Sources, question: Question) -> list[Cell]:
    pairs = [pair for pair in combinations(HEADLINE_RUNS.items(), 2) if not question.of_class or _heads(sources, *pair)]
    cells: list[Cell] = []
    tested: list[Answer] = []
    for (row_a, run_a), (row_b, run_b) in pairs:
        row, column = f"{row_a} minus {row_b}", f"{question.what}, difference"
        reason = sources.why_no_run(run_a) or sources.why_no_run(run_b)
        try:
            if reason:
                raise ValueError(reason)
            tested.append(question.compare(sources, row, run_a, run_b))
        except ValueError as error:
            names = [name for test in question.tests for name in _columns(question, test)]
            cells += [not_run(row, name, str(error)) for name in (column, *names)]
    adjusted = [comparisons.holm([p[place] for _, p in tested]) for place in range(len(question.tests))]
    family = f"adjusted for {len(tested)} pairs" if len(tested) > 1 else "one pair: nothing to adjust for"
    for pair, (difference, p) in enumerate(tested):
        cells.append(difference)
        for place, test in enumerate(question.tests):
            raw, holm = _columns(question, test)
            cells.append(p_cell(difference, raw, p[place], test))
            cells.append(p_cell(difference, holm, adjusted[place][pair], f"{test}, {family}"))
    return cells


def _columns(question: Question, test: str) -> tuple[str, str]:
    """Names of the columns of p as it is, and adjusted."""
    return f"{question.what}, {test} p", f"{question.what}, {test} p, Holm"


def _heads(sources: Sources, *pair: tuple[str, str]) -> bool:
    """Whether both runs of a pair tell COVID-19 apart, as far as the parameters know."""
    runs = [run for _, run in pair if run in sources.params.resolved]
    return all(COVID in sources.params.run(run).class_map for run in runs)


def p_cell(difference: Cell, column: str, p: float, how: str) -> Cell:
    """p of the test `how` beside the difference that was tested."""
    plain = {"ci_low": None, "ci_high": None, "unit": None, "note": ""}
    return replace(difference, column=column, measured_correct=p_value(p), protocol_correct=how, **plain)


def _dice(sources: Sources, row: str, run_a: str, run_b: str) -> Answer:
    return _of_masks(sources, row, "infection Dice, difference", (run_a, run_b), HEADLINE, "dice")


def _false_infection(what: str, sources: Sources, row: str, run_a: str, run_b: str) -> Answer:
    return _of_masks(sources, row, f"{what}, difference", (run_a, run_b), *SHARES[what])


def _of_masks(sources: Sources, row: str, column: str, runs: tuple[str, str], protocol: str, metric: str) -> Answer:
    """Sign flips of the mean and Wilcoxon's test of a measure per image, McNemar's of one that is 0 or 1."""
    compared = Difference(run=runs[0], other=runs[1], metric=metric, protocol=protocol)
    difference = evaluate(sources, row, column, compared)
    a, b = (per_image(protocol, scores, "infection")[metric] for scores in on_shared_images(sources, *runs))
    if not difference.measured:
        raise ValueError(difference.note)
    if metric == "dice":
        pair, seed = (a.to_numpy(), b.to_numpy()), sources.params.evaluate.bootstrap.seed
        return difference, (comparisons.sign_flip(*pair, seed), comparisons.wilcoxon(*pair))
    found = comparisons.mcnemar(a.to_numpy() > 0, b.to_numpy() > 0)
    return replace(difference, note=joined(difference.note, _discordant(found, "marked"))), (found.p,)


def _discordant(found: comparisons.McNemar, what: str) -> str:
    kind = "exact" if found.exact else "continuity-corrected"
    return f"{what} by the first alone: {found.only_a} images, by the second alone: {found.only_b} ({kind} test)"


def _decisions(
    sources: Sources, run_a: str, run_b: str
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], str]:
    """Truth, (log-odds, decision) of each run, and which images: those whose label both heads were trained on."""
    maps = [sources.params.run(run).class_map for run in (run_a, run_b)]
    known = [label for label in maps[0] if label in maps[1]]
    frames = [scores[scores["label"].isin(known)] for scores in on_shared_images(sources, run_a, run_b)]
    (truth, odds_a, decided_a), (_, odds_b, decided_b) = (
        covid_against_rest(scores, labels[COVID]) for scores, labels in zip(frames, maps, strict=True)
    )
    if not len(truth):
        raise ValueError("no test image that both heads know")
    return (
        truth,
        (odds_a, decided_a),
        (odds_b, decided_b),
        f"{' and '.join(sorted(known))} images, which both heads know",
    )


def _accuracy(sources: Sources, row: str, run_a: str, run_b: str) -> Answer:
    truth, (_, a), (_, b), images = _decisions(sources, run_a, run_b)
    right_a, right_b = a == truth, b == truth
    config = sources.params.evaluate.bootstrap
    difference = bootstrap_difference(right_a.astype(float), right_b.astype(float), config)
    found = comparisons.mcnemar(right_a, right_b)
    words = joined(images, _discordant(found, "right"))
    shown = difference, class_protocol("accuracy"), len(truth), words
    return _class_cell(sources, row, f"{ACCURACY}, difference", (run_a, run_b), *shown), (found.p,)


def _auc(sources: Sources, row: str, run_a: str, run_b: str) -> Answer:
    truth, (a, _), (b, _), images = _decisions(sources, run_a, run_b)
    found = comparisons.delong(a, b, truth)
    difference = found.interval(sources.params.evaluate.bootstrap.confidence)
    words = joined(images, "interval of DeLong")
    shown = difference, class_protocol("auc"), len(truth), words
    return _class_cell(sources, row, f"{AUC}, difference", (run_a, run_b), *shown), (found.p,)


def _class_cell(
    sources: Sources, row: str, column: str, runs: tuple[str, str], found: Found, how: str, n: int, words: str
) -> Cell:
    note = joined(f"{runs[0]} minus {runs[1]}, paired over images", words)
    return measured(sources, row, column, runs[0], Number(found, how, n, note))


QUESTIONS = (
    Question("infection Dice", ("sign-flip", "Wilcoxon"), _dice),
    *(Question(what, ("McNemar",), partial(_false_infection, what)) for what in SHARES),
    Question(ACCURACY, ("McNemar",), _accuracy, of_class=True),
    Question(AUC, ("DeLong",), _auc, of_class=True),
)
