"""One subcommand per step; paths are arguments, all other settings come from the parameter files."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from covidqu import commands
from covidqu.commands import parameter_files
from covidqu.config.params import Params, load

Handler = Callable[[argparse.Namespace, Params], object]

# subcommand: (function, help, positional names, required path options, optional path options)
STEPS: dict[str, tuple[Handler, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "source": (commands.source, "what the archive is to be made of", (), ("out",), ()),
    "download": (commands.download, "get the archive", (), ("source", "out"), ()),
    "pack": (commands.pack, "read the archive once into arrays and an index", (), ("archive", "out"), ()),
    "audit": (commands.audit, "duplicates, conflicts and counts; a gate", (), ("packed", "out"), ()),
    "split": (commands.split, "official, deduplicated and grouped k-fold splits", (), ("packed", "audit", "out"), ()),
    "roi": (commands.roi, "lung masks that need no model", ("name",), ("packed", "out", "sheet"), ()),
    "roi_predicted": (
        commands.roi_predicted,
        "lung masks predicted by a run",
        ("name",),
        ("packed", "predictions", "out", "sheet"),
        (),
    ),
    "initial": (commands.initial, "initial weights: random or from the hub", ("name",), ("out",), ()),
    "train": (
        commands.train,
        "train one run",
        ("name",),
        ("packed", "split", "roi", "init", "weights", "out", "resume"),
        (),
    ),
    "predict": (
        commands.predict,
        "logits of one run on the test images",
        ("name",),
        ("packed", "split", "roi", "weights", "out"),
        (),
    ),
    "explain": (
        commands.explain,
        "Grad-CAM, and what a class head sees",
        ("name",),
        ("packed", "split", "roi", "weights", "out"),
        (),
    ),
    "validate": (
        commands.validate,
        "one row of counts per validation image, of a run that an ablation compares",
        ("name",),
        ("packed", "split", "roi", "weights", "out"),
        (),
    ),
    "score": (
        commands.score,
        "one row of counts per test image",
        ("name",),
        ("packed", "split", "predictions", "out"),
        (),
    ),
    "baseline": (
        commands.baseline,
        "fit and score one baseline: a trivial mask or a shortcut",
        ("name",),
        ("packed", "split", "out"),
        (),
    ),
    "architectures": (commands.architectures, "layers, shapes and parameters of all networks", (), ("out",), ()),
    "cost": (commands.cost, "operations and measured speed of all networks", (), ("out",), ()),
    "tables": (
        commands.tables,
        "tables, printed beside measured: all of them, or those named",
        ("names",),
        ("data", "results", "out"),
        (),
    ),
    "figures": (
        commands.figures,
        "figures: all of them, or those named",
        ("names",),
        ("data", "results", "out"),
        (),
    ),
    "comparison": (
        commands.comparison,
        "every printed value beside its measured counterpart",
        (),
        ("data", "results", "out"),
        (),
    ),
    "cards": (
        commands.cards,
        "model card of each run, data card, Croissant",
        (),
        ("data", "results", "out"),
        (),
    ),
    "crate": (commands.crate, "describe results as an RO-Crate, or copy them into one", (), ("results",), ("out",)),
    "claim": (commands.claim, "the CLAIM checklist for this repository", (), ("out",), ()),
    "page": (commands.page, "the report as a static site", (), ("data", "results", "out"), ("public",)),
    "check": (
        commands.check,
        "make committed tables and figures again from their scores; docs/checks.md",
        (),
        (),
        ("results", "data", "fix"),
    ),
    "readme": (commands.readme, "put the measured overview into a Markdown file", (), ("results", "out"), ()),
    "systems": (
        commands.systems,
        "list systems, tasks, inputs, parameters, runs and their state",
        (),
        (),
        ("results",),
    ),
    "params": (
        commands.params,
        "print the merged and validated settings, or one run whole, with the source of each value",
        ("run",),
        (),
        ("out",),
    ),
}
SEVERAL: dict[tuple[str, str], dict[str, Any]] = {  # arguments that may be given more than once
    ("tables", "names"): {"nargs": "*", "metavar": "NAME"},
    ("figures", "names"): {"nargs": "*", "metavar": "NAME"},
    ("check", "results"): {"action": "append"},
    ("check", "fix"): {"action": "store_true", "help": "put what was made again in the place of what is there"},
    ("page", "public"): {"action": "store_true", "help": "without any image of a patient, so that it may be published"},
    ("params", "run"): {"nargs": "?", "metavar": "RUN"},
}


def parser() -> argparse.ArgumentParser:
    """The command line, built from `STEPS`."""
    top = argparse.ArgumentParser(prog="covidqu", description=sys.modules["covidqu"].__doc__)
    top.add_argument("--params", action="append", metavar="FILE", help="parameter file; repeat to lay overlays on top")
    steps = top.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, (_, text, positional, required, optional) in STEPS.items():
        command = steps.add_parser(name, help=text, description=text)
        for argument in positional:
            command.add_argument(argument, **SEVERAL.get((name, argument), {}))
        for argument in (*required, *optional):
            more = SEVERAL.get((name, argument), {})
            if more.get("action") == "store_true":
                command.add_argument(f"--{argument}", **more)
            else:
                command.add_argument(f"--{argument}", type=Path, required=argument in required, metavar="PATH", **more)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one step. Faults of input end with one clear message and status 2; `check` has 1 and 3 of its own."""
    parsed = parser().parse_args(arguments)
    try:
        params = load(parameter_files(parsed.params))
        commands.refuse_unlisted(params)
        result = STEPS[parsed.step][0](parsed, params)
    except (ValueError, OSError) as error:
        print(f"covidqu {parsed.step}: {error}", file=sys.stderr)
        return 2
    return result if isinstance(result, int) else 0
