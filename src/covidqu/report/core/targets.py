"""Names of all tables and figures and what each needs, for the Snakefile: imports nothing heavy.

Enters: `Params`; leaves: `tables(params) -> list of names`, `figures(params) -> {name: "svg" | "png"}` and, per name,
`table_inputs` / `figure_inputs` (runs whose scores.parquet, card.json and history.csv are read), `explain_inputs` (runs
whose explain.parquet is read), `figure_predictions` and `figure_cams` (runs whose predictions.npz, cam.npz are shown),
`figure_rois` (sources whose roi/{source}.npy is shown), `needs_data` (packed/index.parquet, audit/{audit.json,
duplicates.parquet}, split.parquet), `needs_images` (the packed arrays), `needs_architectures` and
`needs_cost` (architectures.json, cost.json),
`baseline_inputs` (baselines whose scores.parquet a table reads), `validation_inputs` (runs, their validation.parquet).
A run that is absent from `params.resolved` is never an input: its cells say "not run", and its figures are not drawn.
The names and lists are in `catalogue`.
"""

from covidqu.config.params import Params
from covidqu.report.core.catalogue import (
    ABLATIONS,
    BUDGET,
    COST,
    DETECTION,
    ONE_SEED,
    ONLY_ARCHITECTURES,
    ORDERS,
    STATIC_FIGURES,
    STATIC_TABLES,
    WITH_ARCHITECTURES,
    WITH_CAMS,
    WITH_DATA,
    WITH_EXPLAIN,
    WITH_IMAGES,
    WITH_PREDICTIONS,
    WITH_REFERENCES,
)


def tables(params: Params) -> list[str]:
    """All table names, `{system}/{name}`."""
    of_ablations = [ABLATIONS] if params.ablations else []
    return [*STATIC_TABLES, "common/leakage", "common/protocols", ORDERS, "common/calibration", *of_ablations]


def figures(params: Params) -> dict[str, str]:
    """All figure names with the suffix of their file: `png` where images are shown, else `svg`."""
    found = {n: suffix for n, (suffix, runs) in STATIC_FIGURES.items() if len(_present(params, runs)) == len(runs)}
    trained = [run for run in params.base_runs if params.run(run).epochs > 0]
    found |= {curves_name(params, run): "svg" for run in trained}
    return found | ({ABLATIONS: "svg"} if params.ablations else {})


def curves_name(params: Params, run: str) -> str:
    """Name of the training curves of a run: `{system}/curves-{run}`."""
    return f"{params.run(run).model.system.replace('_', '-')}/curves-{run}"


def table_inputs(name: str, params: Params) -> list[str]:
    """Runs whose scores, card and history `table` reads, ancestors included (their shortcuts are in the title)."""
    _known(name, tables(params), "table")
    if name in ("common/leakage", COST):
        return lineage(params, params.base_runs)
    if name == BUDGET:
        return lineage(params, trained_on_infection(params))
    if name in ("common/protocols", ORDERS):
        return lineage(params, with_infection(params))
    if name == "common/calibration":
        return lineage(params, calibrated(params))
    if name == ABLATIONS:
        return lineage(params, params.ablated)
    if name in ONE_SEED:
        return lineage(params, _present(params, STATIC_TABLES[name]))
    return lineage(params, with_seeds(params, STATIC_TABLES[name]))


def trained_on_infection(params: Params) -> list[str]:
    """Base runs with an infection mask that were trained at all."""
    return [run for run in params.base_runs if "infection" in params.run(run).tasks and params.run(run).epochs]


def with_infection(params: Params) -> list[str]:
    """Base runs with an infection mask."""
    return [run for run in params.base_runs if "infection" in params.run(run).tasks]


def calibrated(params: Params) -> list[str]:
    """Base runs that give probabilities of classes or of infection."""
    return [run for run in params.base_runs if {"class", "infection"} & set(params.run(run).tasks)]


def figure_inputs(name: str, params: Params) -> list[str]:
    """Runs whose scores, card and history `figure` reads."""
    _known(name, list(figures(params)), "figure")
    for run in params.resolved:
        if name.endswith(f"/curves-{run}"):
            return [run]
    if name in ONLY_ARCHITECTURES:
        return []
    if name in (ABLATIONS, BUDGET):
        return table_inputs(name, params)
    if name == COST:
        return lineage(params, with_infection(params))
    return lineage(params, _present(params, STATIC_FIGURES[name][1]))


def baseline_inputs(name: str, params: Params) -> list[str]:
    """Baselines whose scores.parquet `table` reads; the comparison has no row of theirs and reads none."""
    if name == "common/references":
        return list(params.baselines)
    gives = WITH_REFERENCES[name].gives if name in WITH_REFERENCES else ()
    return [baseline for baseline, config in params.baselines.items() if config.gives in gives]


def validation_inputs(name: str, params: Params) -> list[str]:
    """Runs whose validation.parquet a table or figure reads."""
    if name == DETECTION:
        return [run for run in _present(params, STATIC_TABLES[name]) if run in params.ablated]
    return params.ablated if name == ABLATIONS else []


def explain_inputs(name: str, params: Params) -> list[str]:
    """Runs whose explain.parquet a table or figure reads: those of its runs that are explained at all."""
    if name not in WITH_EXPLAIN:
        return []
    runs = STATIC_TABLES[name] if name in STATIC_TABLES else STATIC_FIGURES[name][1]
    return [run for run in _present(params, runs) if run in params.explain]


def figure_predictions(name: str, params: Params) -> list[str]:
    """Runs whose predictions.npz `figure` shows."""
    return _present(params, STATIC_FIGURES[name][1]) if name in WITH_PREDICTIONS else []


def figure_cams(name: str, params: Params) -> list[str]:
    """Runs whose cam.npz `figure` shows."""
    return explain_inputs(name, params) if name in WITH_CAMS else []


def figure_rois(name: str, params: Params) -> list[str]:
    """ROI sources whose roi/{source}.npy `figure` shows."""
    if name != "unet-roi/figure-1":
        return []
    return list(dict.fromkeys(params.run(run).roi for run in figure_predictions(name, params)))


def comparison_inputs(params: Params) -> list[str]:
    """Runs that `comparison` reads; it needs the data (`needs_data`), the images' header and architectures as well."""
    wanted = {run for name in tables(params) for run in table_inputs(name, params)}
    return [run for run in params.resolved if run in wanted]


def comparison_explains(params: Params) -> list[str]:
    """Runs whose explain.parquet `comparison` reads."""
    wanted = {run for name in tables(params) for run in explain_inputs(name, params)}
    return [run for run in params.resolved if run in wanted]


def needs_data(name: str) -> bool:
    """Whether the table or figure reads the index, the audit and the splits."""
    return name in WITH_DATA


def needs_images(name: str) -> bool:
    """Whether it reads the packed arrays (and the predictions of its runs, see `figure_predictions`)."""
    return name in WITH_IMAGES


def needs_architectures(name: str) -> bool:
    """Whether it reads architectures.json."""
    return name in WITH_ARCHITECTURES


def needs_cost(name: str) -> bool:
    """Whether it reads cost.json."""
    return name in (COST, BUDGET)


def lineage(params: Params, names: list[str]) -> list[str]:
    """The runs and all runs whose weights or lung masks they build on, in the order of `params.resolved`."""
    wanted, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        waiting += [parent for parent in (params.run(name).init, params.run(name).roi) if parent in params.resolved]
    return [name for name in params.resolved if name in wanted]


def with_seeds(params: Params, names: tuple[str, ...]) -> list[str]:
    """The runs that are there, each with its repetitions with other seeds."""
    return [run for name in names for run in params.seeds(name)]


def _present(params: Params, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in params.resolved]


def _known(name: str, names: list[str], kind: str) -> None:
    if name not in names:
        raise ValueError(f"no {kind} is called '{name}'; {kind}s are: {', '.join(names)}")
