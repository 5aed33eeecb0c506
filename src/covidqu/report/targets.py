"""Names of all tables and figures and what each needs, for the Snakefile: imports nothing heavy.

Enters: `Params`; leaves: `tables(params) -> list of names`, `figures(params) -> {name: "svg" | "png"}` and, per name,
`table_inputs` / `figure_inputs` (runs whose scores.parquet, card.json and history.csv are read), `needs_data`
(packed/index.parquet, audit/{audit.json,duplicates.parquet}, split.parquet), `needs_images` (the packed arrays, and
predictions.npz of the input runs) and `figure_rois` (sources whose roi/{source}.npy is shown). A run that is absent
from `params.runs` is never an input: its cells say "not run".
"""

from covidqu.config.params import Params

STATIC_TABLES = {  # name: runs that the table reports on
    "swin-dual/table-1": (),
    "swin-dual/table-2": (),
    "swin-dual/table-3": (),
    "unetpp-b3/data": (),
    "unetpp-b3/table-1": (),
    "unetpp-b3/table-2": ("unetpp-b3",),
    "unetpp-b3/table-3": ("unetpp-b3",),
    "unetpp-b3/text": ("unetpp-b3",),
    "unet-roi/table-1": (),
    "unet-roi/table-2": (),
    "unet-roi/table-3": ("unet-roi-lung",),
    "unet-roi/table-4": ("unet-roi-infection", "unet-roi-infection-predicted"),
    "common/data": (),
    "common/overview": ("unet-roi-lung", "unet-roi-infection", "unet-roi-infection-predicted", "unetpp-b3"),
}
WITH_DATA = (
    *(name for name, runs in STATIC_TABLES.items() if not runs and name != "unetpp-b3/table-1"),
    "unetpp-b3/text",
    "common/leakage",
    "unetpp-b3/figure-1",
    "unetpp-b3/figure-2",
    "unet-roi/figure-1",
)
WITH_IMAGES = ("swin-dual/table-3", "unetpp-b3/figure-2", "unet-roi/figure-1")
PANEL_RUNS = ("unet-roi-infection", "unet-roi-infection-predicted")


def tables(params: Params) -> list[str]:
    """All table names, `{system}/{name}`."""
    return [*STATIC_TABLES, "common/leakage", "common/protocols"]


def figures(params: Params) -> dict[str, str]:
    """All figure names with the suffix of their file: `png` where images are shown, else `svg`."""
    found = {"unetpp-b3/figure-1": "svg", "unetpp-b3/figure-2": "png"}
    if _present(params, PANEL_RUNS):
        found["unet-roi/figure-1"] = "png"
    found |= {curves_name(params, run): "svg" for run, config in params.resolved.items() if config.epochs > 0}
    return found


def curves_name(params: Params, run: str) -> str:
    """Name of the training curves of a run: `{system}/curves-{run}`."""
    return f"{params.run(run).model.system.replace('_', '-')}/curves-{run}"


def table_inputs(name: str, params: Params) -> list[str]:
    """Runs whose scores, card and history `table` reads, ancestors included (their shortcuts are in the title)."""
    _known(name, tables(params), "table")
    if name == "common/leakage":
        return list(params.runs)
    if name == "common/protocols":
        return lineage(params, [run for run, config in params.resolved.items() if "infection" in config.tasks])
    return lineage(params, _present(params, STATIC_TABLES[name]))


def figure_inputs(name: str, params: Params) -> list[str]:
    """Runs whose scores, card and history `figure` reads."""
    _known(name, list(figures(params)), "figure")
    for run in params.runs:
        if name.endswith(f"/curves-{run}"):
            return [run]
    return lineage(params, _present(params, PANEL_RUNS)) if name == "unet-roi/figure-1" else []


def figure_predictions(name: str, params: Params) -> list[str]:
    """Runs whose predictions.npz `figure` shows."""
    return _present(params, PANEL_RUNS) if name == "unet-roi/figure-1" else []


def figure_rois(name: str, params: Params) -> list[str]:
    """ROI sources whose roi/{source}.npy `figure` shows."""
    return list(dict.fromkeys(params.run(run).roi for run in figure_predictions(name, params)))


def comparison_inputs(params: Params) -> list[str]:
    """Runs that `comparison` reads; it needs the data (`needs_data`) and the images' header as well."""
    wanted = {run for name in tables(params) for run in table_inputs(name, params)}
    return [run for run in params.runs if run in wanted]


def needs_data(name: str) -> bool:
    """Whether the table or figure reads the index, the audit and the splits."""
    return name in WITH_DATA


def needs_images(name: str) -> bool:
    """Whether it reads the packed arrays (and the predictions of its runs, see `figure_predictions`)."""
    return name in WITH_IMAGES


def lineage(params: Params, names: list[str]) -> list[str]:
    """The runs and all runs whose weights or lung masks they build on, in the order of `params.runs`."""
    wanted, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name in wanted:
            continue
        wanted.add(name)
        waiting += [parent for parent in (params.run(name).init, params.run(name).roi) if parent in params.runs]
    return [name for name in params.runs if name in wanted]


def _present(params: Params, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in params.runs]


def _known(name: str, names: list[str], kind: str) -> None:
    if name not in names:
        raise ValueError(f"no {kind} is called '{name}'; {kind}s are: {', '.join(names)}")
