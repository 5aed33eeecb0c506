"""Names of all tables and figures and what each needs, for the Snakefile: imports nothing heavy.

Enters: `Params`; leaves: `tables(params) -> list of names`, `figures(params) -> {name: "svg" | "png"}` and, per name,
`table_inputs` / `figure_inputs` (runs whose scores.parquet, card.json and history.csv are read), `explain_inputs` (runs
whose explain.parquet is read), `figure_predictions` and `figure_cams` (runs whose predictions.npz, cam.npz are shown),
`figure_rois` (sources whose roi/{source}.npy is shown), `needs_data` (packed/index.parquet, audit/{audit.json,
duplicates.parquet}, split.parquet), `needs_images` (the packed arrays), `needs_architectures` (architectures.json) and
`baseline_inputs` (baselines whose scores.parquet a table reads).
A run that is absent from `params.runs` is never an input: its cells say "not run", and its figures are not drawn.
Lists below hold base runs; their repetitions with other seeds follow from the parameters.
"""

from typing import NamedTuple

from covidqu.config.params import Params


class Place(NamedTuple):
    """Where a table's reference rows stand: `gives` of the baselines that are shown, the runs whose place they take.

    `one_row`: rows are runs, so that a reference is one row; else it has each row of the runs.
    """

    gives: tuple[str, ...]
    runs: tuple[str, ...]
    one_row: bool = False


SWIN = ("swin-dual-lung", "swin-dual-infection")
UNET_ROI = ("unet-roi-lung", "unet-roi-infection", "unet-roi-infection-predicted")
CBAM = "cbam-mtl-unet-proposed"
CBAM_PAIR = ("cbam-mtl-unet-pre", CBAM)
CBAM_NETS = tuple(f"cbam-mtl-{net}-{kind}" for kind in ("simple", "proposed") for net in ("unet", "unetpp", "resunet"))
RECON = "recon-mtl-t123"
RECON_CLASS = ("recon-mtl-t13", "recon-mtl-t23", RECON, "recon-mtl-cnn8")
RECON_ALL = ("recon-mtl-t12", *RECON_CLASS, "recon-mtl-t123-512", "recon-mtl-unet", "recon-mtl-unet-512")
HEADLINES = ("swin-dual-infection", "unetpp-b3", *UNET_ROI, CBAM, RECON)  # one or two runs of each system

STATIC_TABLES = {  # name: runs that the table reports on
    "swin-dual/table-1": (),
    "swin-dual/table-2": (),
    "swin-dual/table-3": (),
    "swin-dual/table-params": (),
    "swin-dual/table-4": SWIN[:1],
    "swin-dual/table-5": SWIN[1:],
    "swin-dual/text": SWIN,
    "unetpp-b3/data": (),
    "unetpp-b3/table-1": (),
    "unetpp-b3/table-2": ("unetpp-b3",),
    "unetpp-b3/table-3": ("unetpp-b3",),
    "unetpp-b3/text": ("unetpp-b3",),
    "unet-roi/table-1": (),
    "unet-roi/table-2": (),
    "unet-roi/table-3": UNET_ROI[:1],
    "unet-roi/table-4": UNET_ROI[1:],
    "cbam-mtl/table-1": (),
    "cbam-mtl/table-2": (),
    "cbam-mtl/table-3": CBAM_PAIR,
    "cbam-mtl/table-4": CBAM_PAIR,
    "cbam-mtl/table-5": (),
    "cbam-mtl/table-6": (CBAM,),
    "cbam-mtl/table-7": (CBAM,),
    "cbam-mtl/table-8": CBAM_NETS,
    "cbam-mtl/table-9": CBAM_NETS,
    "cbam-mtl/text": CBAM_PAIR,
    "recon-mtl/table-1": (),
    "recon-mtl/table-2": RECON_ALL,
    "recon-mtl/text": (RECON,),
    "common/data": (),
    "common/overview": (*UNET_ROI, "unetpp-b3", *SWIN, CBAM, RECON),
    "common/cross-system": HEADLINES,
    "common/pairwise": HEADLINES,
    "common/severity": HEADLINES,
    "common/subgroups": HEADLINES,
    "common/boundary": HEADLINES,
    "common/references": (),
    "common/param-counts": (),
    "common/published-consistency": (),
    "common/printed-gap": (),
    "audit/000-mask-channel": SWIN,
    "audit/000-fp-healthy": SWIN[1:],
    "audit/002-roi-source": UNET_ROI[1:],
    "audit/004-skip-reconstruction": (RECON, "recon-mtl-t123-no-skips"),
}
STATIC_FIGURES = {  # name: suffix of the file, runs without which there is no figure
    "unetpp-b3/figure-1": ("svg", ()),
    "unetpp-b3/figure-2": ("png", ()),
    "unetpp-b3/architecture": ("svg", ("unetpp-b3",)),
    "unet-roi/figure-1": ("png", UNET_ROI[1:]),
    "unet-roi/architecture": ("svg", UNET_ROI[1:2]),
    "swin-dual/figure-1": ("svg", SWIN[1:]),
    "swin-dual/figure-2": ("svg", SWIN[:1]),
    "swin-dual/figure-3": ("svg", SWIN[1:]),
    "swin-dual/figure-4": ("svg", SWIN[:1]),
    "swin-dual/figure-5": ("svg", SWIN[:1]),
    "swin-dual/figure-6": ("png", SWIN[:1]),
    "swin-dual/figure-7": ("svg", SWIN[1:]),
    "swin-dual/figure-8": ("svg", SWIN[1:]),
    "swin-dual/figure-9": ("png", SWIN[1:]),
    "cbam-mtl/figure-1": ("svg", (CBAM,)),
    "cbam-mtl/figure-2": ("svg", (CBAM,)),
    "cbam-mtl/figure-3": ("png", ("cbam-mtl-unet-simple", *CBAM_PAIR)),
    "cbam-mtl/figure-4": ("png", (CBAM,)),
    "recon-mtl/figure-3": ("svg", ()),
    "recon-mtl/figure-4": ("svg", (RECON,)),
    "recon-mtl/figure-5": ("svg", RECON_CLASS),
    "recon-mtl/figure-6": ("png", (RECON, "recon-mtl-unet")),
    "common/bland-altman": ("svg", HEADLINES),
    "common/reliability": ("svg", HEADLINES),
    "common/dice-by-area": ("svg", HEADLINES),
}
ONE_SEED = ("common/pairwise", "common/severity", "common/subgroups", "common/boundary")  # of runs that are repeated
WITH_DATA = (
    *("swin-dual/table-1", "swin-dual/table-2", "swin-dual/table-3", "unetpp-b3/data", "unetpp-b3/text"),
    *("unet-roi/table-1", "unet-roi/table-2", "cbam-mtl/table-2", "recon-mtl/table-1", "common/data"),
    *(
        "common/leakage",
        "common/references",
        "unetpp-b3/figure-1",
        "unetpp-b3/figure-2",
        "unet-roi/figure-1",
        "recon-mtl/figure-3",
    ),
    *("swin-dual/figure-6", "swin-dual/figure-9", "cbam-mtl/figure-3", "cbam-mtl/figure-4", "recon-mtl/figure-6"),
)
WITH_IMAGES = (
    "swin-dual/table-3",
    "common/references",
    *(name for name, (suffix, _) in STATIC_FIGURES.items() if suffix == "png"),
)
WITHOUT_PREDICTIONS = (
    "swin-dual/table-3",
    "common/references",
    "unetpp-b3/figure-2",
    "cbam-mtl/figure-4",
)  # images, and what is not predicted
WITH_PREDICTIONS = tuple(name for name in WITH_IMAGES if name not in WITHOUT_PREDICTIONS)
WITH_ARCHITECTURES = (
    *("swin-dual/table-params", "common/param-counts", "unetpp-b3/architecture", "unet-roi/architecture"),
    *("swin-dual/figure-1", "cbam-mtl/figure-1", "recon-mtl/figure-4"),
)
ONLY_ARCHITECTURES = WITH_ARCHITECTURES[2:]  # figures that read nothing of a run
WITH_EXPLAIN = ("audit/000-mask-channel", "cbam-mtl/figure-4")
WITH_CAMS = ("cbam-mtl/figure-4",)
MASK, CLASS = "infection", "class"
WITH_REFERENCES = {
    "swin-dual/table-4": Place((CLASS,), SWIN[:1]),
    "swin-dual/table-5": Place((MASK, CLASS), SWIN[1:]),
    "swin-dual/text": Place((MASK, CLASS), SWIN),
    "unetpp-b3/table-2": Place((MASK,), ("unetpp-b3",)),
    "unetpp-b3/table-3": Place((MASK,), ("unetpp-b3",)),
    "unet-roi/table-4": Place((MASK,), UNET_ROI[1:2]),
    **{f"cbam-mtl/table-{number}": Place((MASK,), (CBAM,), one_row=True) for number in (3, 6, 8)},
    **{f"cbam-mtl/table-{number}": Place((CLASS,), (CBAM,), one_row=True) for number in (4, 7, 9)},
    "recon-mtl/table-2": Place((MASK, CLASS), (RECON,), one_row=True),
    "recon-mtl/text": Place((CLASS,), (RECON,)),
    "common/cross-system": Place((MASK, CLASS), (RECON,), one_row=True),
}


def tables(params: Params) -> list[str]:
    """All table names, `{system}/{name}`."""
    return [*STATIC_TABLES, "common/leakage", "common/protocols", "common/calibration"]


def figures(params: Params) -> dict[str, str]:
    """All figure names with the suffix of their file: `png` where images are shown, else `svg`."""
    found = {n: suffix for n, (suffix, runs) in STATIC_FIGURES.items() if len(_present(params, runs)) == len(runs)}
    trained = [run for run in params.base_runs if params.run(run).epochs > 0]
    found |= {curves_name(params, run): "svg" for run in trained}
    return found


def curves_name(params: Params, run: str) -> str:
    """Name of the training curves of a run: `{system}/curves-{run}`."""
    return f"{params.run(run).model.system.replace('_', '-')}/curves-{run}"


def table_inputs(name: str, params: Params) -> list[str]:
    """Runs whose scores, card and history `table` reads, ancestors included (their shortcuts are in the title)."""
    _known(name, tables(params), "table")
    if name == "common/leakage":
        return lineage(params, params.base_runs)
    if name == "common/protocols":
        return lineage(params, [run for run in params.base_runs if "infection" in params.run(run).tasks])
    if name == "common/calibration":
        return lineage(params, calibrated(params))
    if name in ONE_SEED:
        return lineage(params, _present(params, STATIC_TABLES[name]))
    return lineage(params, with_seeds(params, STATIC_TABLES[name]))


def calibrated(params: Params) -> list[str]:
    """Base runs that give probabilities of classes or of infection."""
    return [run for run in params.base_runs if {"class", "infection"} & set(params.run(run).tasks)]


def figure_inputs(name: str, params: Params) -> list[str]:
    """Runs whose scores, card and history `figure` reads."""
    _known(name, list(figures(params)), "figure")
    for run in params.runs:
        if name.endswith(f"/curves-{run}"):
            return [run]
    if name in ONLY_ARCHITECTURES:
        return []
    return lineage(params, _present(params, STATIC_FIGURES[name][1]))


def baseline_inputs(name: str, params: Params) -> list[str]:
    """Baselines whose scores.parquet `table` reads; the comparison has no row of theirs and reads none."""
    if name == "common/references":
        return list(params.baselines)
    gives = WITH_REFERENCES[name].gives if name in WITH_REFERENCES else ()
    return [baseline for baseline, config in params.baselines.items() if config.gives in gives]


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
    return [run for run in params.runs if run in wanted]


def comparison_explains(params: Params) -> list[str]:
    """Runs whose explain.parquet `comparison` reads."""
    wanted = {run for name in tables(params) for run in explain_inputs(name, params)}
    return [run for run in params.runs if run in wanted]


def needs_data(name: str) -> bool:
    """Whether the table or figure reads the index, the audit and the splits."""
    return name in WITH_DATA


def needs_images(name: str) -> bool:
    """Whether it reads the packed arrays (and the predictions of its runs, see `figure_predictions`)."""
    return name in WITH_IMAGES


def needs_architectures(name: str) -> bool:
    """Whether it reads architectures.json."""
    return name in WITH_ARCHITECTURES


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


def with_seeds(params: Params, names: tuple[str, ...]) -> list[str]:
    """The runs that are there, each with its repetitions with other seeds."""
    return [run for name in names for run in params.seeds(name)]


def _present(params: Params, names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name in params.runs]


def _known(name: str, names: list[str], kind: str) -> None:
    if name not in names:
        raise ValueError(f"no {kind} is called '{name}'; {kind}s are: {', '.join(names)}")
