"""All systems and runs at a glance: settings and a results folder in, a text table out; nothing is trained."""

from itertools import zip_longest
from pathlib import Path
from textwrap import wrap
from typing import Any

from covidqu.config.params import Params
from covidqu.config.training import Run
from covidqu.report.core.provenance import deviations, full, lacks_settings, read
from covidqu.report.core.published import SHOWN, SYSTEMS, paper
from covidqu.stored import read_json, reading

COLUMNS = {"run": 28, "tasks": 16, "input": 25, "parameters": 22, "state": 21}  # characters across, 120 with the gaps
GAP = "  "
LEGEND = (
    "Parameters: of the run as configured, with the paper's settings (of ours: full size), and as the "
    "paper prints them. Reduced: trained with other settings than those, which are named."
)


def listing(params: Params, results: Path) -> str:
    """One section per system, one entry per run with its seeds together; lines of at most 120 characters.

    Counts come from results/architectures.json where it is of these settings; otherwise the networks are built
    without values, which takes PyTorch and some seconds.
    """
    known = described(results / "architectures.json")
    sections = []
    for system in SHOWN:
        names = [name for name in params.base_runs if params.run(name).model.system == system.replace("-", "_")]
        lines = [f"{system}: {origin(system)}", row([[name] for name in COLUMNS])]
        lines.append(GAP.join("-" * width for width in COLUMNS.values()))
        for name in names:
            lines.append(row(entry(params, results, name, known)))
        sections.append("\n".join(lines if names else [lines[0], "no run in the parameters"]))
    absent = [name for system in SHOWN for name in read(system).runs if name not in params.runs]
    notes = [
        LEGEND,
        f"Runs that are not in these parameters (overlays in workflow/overlays have them): {', '.join(absent)}."
        if absent
        else "",
    ]
    closing = [line for note in notes for line in wrap(note, 120, break_long_words=False, break_on_hyphens=False)]
    return "\n\n".join([*sections, "\n".join(closing)])


def origin(system: str) -> str:
    """Which paper a system is of, in words."""
    return f"paper {paper(system).paper}, {paper(system).name}" if system in SYSTEMS else "ours, of no paper"


def entry(params: Params, results: Path, name: str, known: dict[str, Any]) -> list[list[str]]:
    """Cells of one base run, each a list of lines."""
    run = params.run(name)
    found = known.get(name)
    if found is None or not fits(found, run):
        from covidqu.steps.architectures import describe  # PyTorch, only when nothing was described before

        found = describe(run, full(params, name))
    seeds = params.seeds(name)
    channels = found["input"][1]
    numbers = ", ".join(str(params.run(seed).seed) for seed in seeds)
    return [
        [name, found["net"], f"seed{'s' if len(seeds) > 1 else ''} {numbers}"],
        [f"class {run.classes}" if task == "class" else task for task in run.tasks],
        [f"{run.image_px} px, {channels} channel{'s' if channels > 1 else ''}", f"ROI {run.roi}", f"init {run.init}"],
        counts(found, run),
        states(params, results, seeds),
    ]


def counts(found: dict[str, Any], run: Run) -> list[str]:
    """As configured, with the paper's settings, as printed; of ours no print, and its own full settings."""
    system, configured = run.model.system.replace("_", "-"), f"configured {found['parameters']:,}"
    if system not in SYSTEMS:
        return [configured, f"full size  {found['paper']['parameters']:,}"]
    tables = paper(system).tables
    cells = tables["table-params"].cells() if "table-params" in tables else {}
    printed = cells.get(("total", "parameters"))
    lines = [configured, f"paper's    {found['paper']['parameters']:,}"]
    return [*lines, "not printed" if printed is None else f"printed    {printed}"]


def states(params: Params, results: Path, seeds: list[str]) -> list[str]:
    """State of each seed, once when it is the same for all."""
    found = {f"seed {params.run(seed).seed}": state(params, results / "runs" / seed, seed) for seed in seeds}
    if len(set(found.values())) == 1:
        return [next(iter(found.values()))]
    return [f"{seed}: {text}" for seed, text in found.items()]


def state(params: Params, folder: Path, name: str) -> str:
    """What a run's folder says of it: trained by what and where, whether scored, what was reduced."""
    if not (folder / "card.json").is_file():
        return "not trained"
    card = read_json(folder / "card.json", f"run `train {name}` again")
    with reading(folder / "card.json", f"run `train {name}` again"):
        epochs, device, start = card["epochs_run"], card["device"], card["config"]["init"]
    words = f"trained {epochs} epoch{'s' if epochs > 1 else ''}" if epochs else f"weights of {start}"
    commit, _, changed = (card.get("git_commit") or "no commit").partition("-")
    parts = [f"{words}, {commit[:9]}{'-' + changed if changed else ''}, {device}"]
    parts.append("scored" if (folder / "scores.parquet").is_file() else "not scored")
    other = deviations(params, name, card["config"])
    if other:
        parts.append(f"reduced: {', '.join(key.removeprefix('model.') for key in other)}")
    if lacks_settings(params, name, card["config"]):
        parts.append("card of an older version")
    return "; ".join(parts)


def described(path: Path) -> dict[str, Any]:
    """architectures.json, empty without one; ValueError for a file that is no JSON object."""
    if not path.is_file():
        return {}
    return read_json(path, "run `architectures` again")


def fits(found: dict[str, Any], run: Run) -> bool:
    """Whether a description is of the run's present settings."""
    here = (run.model.model_dump(mode="json"), list(run.tasks), run.image_px)
    return (found.get("model"), found["tasks"], found["input"][-1]) == here


def row(cells: list[list[str]]) -> str:
    """Lines of cells side by side, each wrapped to its column."""
    columns = [
        [line for text in cell for line in wrap(text, width, subsequent_indent=" ", break_on_hyphens=False)]
        for cell, width in zip(cells, COLUMNS.values(), strict=True)
    ]
    lines = [
        GAP.join(text.ljust(width) for text, width in zip(texts, COLUMNS.values(), strict=True)).rstrip()
        for texts in zip_longest(*columns, fillvalue="")
    ]
    return "\n".join(lines)
