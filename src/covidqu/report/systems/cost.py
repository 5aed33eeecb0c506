"""Table `common/cost`: what each run costs to keep, to use and to train, beside its infection Dice.

Input: cost.json, cards and scores. Output: cells, rows are base runs. A run that starts from another's weights has
cost that training, too; a run that sees predicted lungs needs the network that predicts them.
"""

from collections.abc import Callable
from typing import Any

from covidqu.config.params import Params
from covidqu.report.core.cells import Cell, Value
from covidqu.report.core.kinds import Missing, Status
from covidqu.report.core.measures import HEADLINE, Mask, joined
from covidqu.report.core.run_cells import absent, evaluate, not_run
from covidqu.report.core.sources import Sources
from covidqu.report.systems.cross_system import DICE, NO_OUTPUT

PARAMETERS, FLOPS = "parameters", "GFLOPs per image, as deployed"
INFERENCE, TRAINING = "inference, images/s", "training, images/s"
SEEN, MINUTES = "training images seen", "training, minutes at that speed"
ELAPSED = "training, minutes as it ran"
SPEED, CARDS = "measured by `cost`", "from cards"
Found = tuple[Value, str, str]  # value, how it came about, note


def table(sources: Sources) -> list[Cell]:
    """All costs of a run, then its infection Dice as in the other tables."""
    return [found for run in sources.params.base_runs for found in _row(sources, run)]


def init_chain(params: Params, run: str) -> list[str]:
    """The run, the run whose weights it starts from, and so on."""
    chain = [run]
    while (parent := params.run(chain[-1]).init) in params.resolved:
        chain.append(parent)
    return chain


def deployed_with(params: Params, run: str) -> list[str]:
    """The run, the run that predicts the lungs that it sees, and so on."""
    chain = [run]
    while (source := params.run(chain[-1]).roi) in params.resolved:
        chain.append(source)
    return chain


def entry(sources: Sources, run: str) -> dict[str, Any]:
    """What cost.json says of a run; ask `why_no_cost` first."""
    assert sources.cost is not None, "cost.json was not asked for"
    return sources.cost["runs"][sources.params.base(run)]


def why_no_cost(sources: Sources, run: str) -> str | None:
    """Why the costs of a run are not known, those of the runs that it rests on included; None when they are."""
    if sources.cost is None:
        return "the step `cost` was not run"
    params, known = sources.params, sources.cost["runs"]
    for name in [*init_chain(params, run), *deployed_with(params, run)]:
        if params.base(name) not in known:
            return f"cost.json has no run {name}"
        if params.run(name).epochs and not entry(sources, name)["training"]:
            return f"cost.json has no training speed of run {name}"
    return None


def why_no_cards(sources: Sources, run: str) -> str | None:
    """Why it is not known how long a run and those that it starts from were trained; None when it is."""
    missing = [name for name in init_chain(sources.params, run) if not sources.has_card(name)]
    return f"run {missing[0]} has no card.json" if missing else None


def gflops(sources: Sources, run: str) -> float:
    """Of one image as deployed: a mirror image and predicted lungs included."""
    return sum(entry(sources, name)["flops_deployed"] for name in deployed_with(sources.params, run)) / 1e9


def images_seen(sources: Sources, run: str) -> int:
    """Images that passed through training, those of the runs that it starts from included; repetitions count."""
    cards = [sources.card(name) for name in init_chain(sources.params, run)]
    return sum(card["epochs_run"] * card["train_images"] for card in cards)


def training_minutes(sources: Sources, run: str) -> float:
    """What the training steps of a run and of those that it starts from take at the measured speeds."""
    total = 0.0
    for name in init_chain(sources.params, run):
        if sources.params.run(name).epochs:
            card = sources.card(name)
            total += card["epochs_run"] * card["train_images"] / entry(sources, name)["training"]["images_per_s"]
    return total / 60


def _row(sources: Sources, run: str) -> list[Cell]:
    params, unpriced, unknown = sources.params, why_no_cost(sources, run), why_no_cards(sources, run)
    starts = init_chain(params, run)[1:]
    after = f"with run {', '.join(starts)}, whose weights it starts from" if starts else ""
    makes: dict[str, tuple[str | None, Callable[[], Found]]] = {
        PARAMETERS: (unpriced, lambda: (entry(sources, run)["parameters"], "counted", "")),
        FLOPS: (unpriced, lambda: (gflops(sources, run), "counted", _use(params, run))),
        INFERENCE: (unpriced, lambda: _inference(sources, run)),
        TRAINING: (unpriced, lambda: _training(sources, run)),
        SEEN: (unknown, lambda: (images_seen(sources, run), CARDS, after)),
        MINUTES: (unpriced or unknown, lambda: (training_minutes(sources, run), f"{CARDS}, {SPEED}", after)),
        ELAPSED: (unknown, lambda: (_elapsed(sources, run), CARDS, after)),
    }
    cells = []
    for column, (reason, make) in makes.items():
        if reason:
            cells.append(not_run(run, column, reason))
            continue
        try:
            value, how, note = make()
        except Missing as missing:
            cells.append(absent(run, column, missing))
            continue
        cells.append(Cell(run, column, None, None, value, "", how, run=run, note=note))
    if run in params.resolved and "infection" not in params.run(run).tasks:
        return [*cells, absent(run, DICE, NO_OUTPUT)]
    return [*cells, evaluate(sources, run, DICE, Mask(run=run, metric="dice", correct=HEADLINE))]


def _use(params: Params, run: str) -> str:
    """What one image is put through."""
    lungs = deployed_with(params, run)[1:]
    return joined(
        "image and mirror image" if params.run(run).flip_test else "",
        f"with run {', '.join(lungs)}, whose lungs it sees" if lungs else "",
    )


def _inference(sources: Sources, run: str) -> Found:
    """One image after the other passes through every network that is needed."""
    speeds = [entry(sources, name)["inference"] for name in deployed_with(sources.params, run)]
    value = 1 / sum(1 / speed["images_per_s"] for speed in speeds)
    return value, SPEED, joined(_use(sources.params, run), _conditions(speeds[0], run))


def _training(sources: Sources, run: str) -> Found:
    found = entry(sources, run)["training"]
    if found is None:
        raise Missing(Status.NOT_APPLICABLE, f"evaluates the weights of {sources.params.run(run).init}")
    return found["images_per_s"], SPEED, _conditions(found, run)


def _conditions(speed: dict[str, Any], run: str) -> str:
    """Where a speed holds."""
    as_run = "" if speed["measured_as"] == run else f", measured as run {speed['measured_as']}"
    return f"{device(speed)}, batch {speed['batch']}, {speed['precision']}{as_run}"


def device(speed: dict[str, Any]) -> str:
    """Device and threads in words."""
    return f"{speed['device']}, {speed['threads']} thread{'' if speed['threads'] == 1 else 's'}"


def _elapsed(sources: Sources, run: str) -> float:
    return sum(sources.card(name)["seconds"] for name in init_chain(sources.params, run)) / 60
