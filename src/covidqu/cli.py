"""One subcommand per step; paths are arguments, all other settings come from the parameter files.

Heavy imports happen inside the subcommands, so that `covidqu --help` and the data steps stay light.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from covidqu.config.params import Params, load

Handler = Callable[[argparse.Namespace, Params], object]


def parameter_files(arguments: list[str] | None) -> list[Path]:
    """--params, else COVIDQU_PARAMS (separated like PATH), else params.yaml.

    ValueError inside a DVC stage with COVIDQU_PARAMS: DVC would record the settings of params.yaml for it.
    """
    if "DVC_STAGE" in os.environ and "COVIDQU_PARAMS" in os.environ:
        raise ValueError("COVIDQU_PARAMS is set, and DVC knows params.yaml only; unset it and run `dvc repro` again")
    names = arguments or os.environ.get("COVIDQU_PARAMS", "params.yaml").split(os.pathsep)
    return [Path(name) for name in names]


def download(a: argparse.Namespace, p: Params) -> object:
    from covidqu.data.archive import download as step

    return step(a.out, p.download)


def pack(a: argparse.Namespace, p: Params) -> object:
    from covidqu.data.pack import pack as step

    return step(a.archive, a.out)


def audit(a: argparse.Namespace, p: Params) -> object:
    from covidqu.data.audit import audit as step

    return step(a.packed, a.out, p.audit)


def split(a: argparse.Namespace, p: Params) -> object:
    from covidqu.data.split import split as step

    return step(a.packed, a.audit, a.out, p.split)


def roi(a: argparse.Namespace, p: Params) -> object:
    from covidqu.data.roi import roi as step

    return step(a.name, a.packed, a.out, a.sheet)


def roi_predicted(a: argparse.Namespace, p: Params) -> object:
    from covidqu.data.roi import roi_predicted as step

    return step(a.name, a.packed, a.predictions, a.out, a.sheet)


def initial(a: argparse.Namespace, p: Params) -> object:
    from covidqu.initial import initial as step

    return step(a.name, a.out)


def train(a: argparse.Namespace, p: Params) -> object:
    from covidqu.train import train as step

    return step(a.name, p.run(a.name), a.packed, a.split, a.roi, a.init, a.weights, a.out, a.resume)


def predict(a: argparse.Namespace, p: Params) -> object:
    from covidqu.predict import predict as step

    run = p.run(a.name)
    return step(a.name, run, a.packed, a.split, a.roi, a.weights, a.out, roi_masks=a.name in p.roi.predicted)


def explain(a: argparse.Namespace, p: Params) -> object:
    from covidqu.explain import explain as step

    return step(a.name, p.run(a.name), a.packed, a.split, a.roi, a.weights, a.out)


def architectures(a: argparse.Namespace, p: Params) -> object:
    from covidqu.architectures import architectures as step

    return step(p, a.out)


def systems(a: argparse.Namespace, p: Params) -> object:
    from covidqu.listing import listing as step

    print(step(p, a.results or Path(p.paths.results)))
    return None


def score(a: argparse.Namespace, p: Params) -> object:
    from covidqu.evaluate.scores import score as step

    return step(a.name, a.packed, a.split, a.predictions, a.out, p.evaluate)


def baseline(a: argparse.Namespace, p: Params) -> object:
    from covidqu.baselines import baseline as step

    return step(a.name, p.baseline(a.name), a.packed, a.split, a.out)


def table(a: argparse.Namespace, p: Params) -> object:
    from covidqu.report.tables import table as step

    return step(a.name, p, a.data, a.results, a.out)


def figure(a: argparse.Namespace, p: Params) -> object:
    from covidqu.report.figures import figure as step

    return step(a.name, p, a.data, a.results, a.out)


def comparison(a: argparse.Namespace, p: Params) -> object:
    from covidqu.report.comparison import comparison as step

    return step(p, a.data, a.results, a.out)


def cards(a: argparse.Namespace, p: Params) -> object:
    from covidqu.standards.cards import cards as step

    return step(p, parameter_files(a.params), a.data, a.results, a.out)


def crate(a: argparse.Namespace, p: Params) -> object:
    from covidqu.standards.crate import crate as step

    return step(p, a.results, a.out)


def claim(a: argparse.Namespace, p: Params) -> object:
    from covidqu.standards.checklist import claim as step

    return step(a.out)


def page(a: argparse.Namespace, p: Params) -> object:
    from covidqu.page.site import page as step

    return step(p, a.data, a.results, a.out, parameter_files(a.params))


def check(a: argparse.Namespace, p: Params) -> object:
    if not any((a.expected, a.actual, a.since)):
        from covidqu.report.recompute import recompute

        named = a.params or "COVIDQU_PARAMS" in os.environ
        return recompute(a.results, a.data, p if named else None)
    if not (a.expected and a.actual) or a.results or a.data:
        raise ValueError("--expected and --actual belong together, with --since at most; --results and --data do not")
    from covidqu.report.check import check as step

    return step(a.expected, a.actual, a.since)


def tolerances(a: argparse.Namespace, p: Params) -> object:
    from covidqu.report.tolerances import tolerances as step

    return step(a.folders, a.out)


def readme(a: argparse.Namespace, p: Params) -> object:
    from covidqu.report.overview import readme as step

    return step(a.results, a.out)


def params(a: argparse.Namespace, p: Params) -> object:
    import yaml

    text = yaml.safe_dump(p.model_dump(mode="json"), sort_keys=False)
    if a.out is None:
        print(text, end="")
        return None
    from covidqu.files import write_text

    return write_text(a.out, text)


# subcommand: (function, help, positional names, required path options, optional path options)
STEPS: dict[str, tuple[Handler, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "download": (download, "get the archive", (), ("out",), ()),
    "pack": (pack, "read the archive once into arrays and an index", (), ("archive", "out"), ()),
    "audit": (audit, "duplicates, conflicts and counts; a gate", (), ("packed", "out"), ()),
    "split": (split, "official, deduplicated and grouped k-fold splits", (), ("packed", "audit", "out"), ()),
    "roi": (roi, "lung masks that need no model", ("name",), ("packed", "out", "sheet"), ()),
    "roi_predicted": (
        roi_predicted,
        "lung masks predicted by a run",
        ("name",),
        ("packed", "predictions", "out", "sheet"),
        (),
    ),
    "initial": (initial, "initial weights: random or from the hub", ("name",), ("out",), ()),
    "train": (
        train,
        "train one run",
        ("name",),
        ("packed", "split", "roi", "init", "weights", "out", "resume"),
        (),
    ),
    "predict": (
        predict,
        "logits of one run on the test images",
        ("name",),
        ("packed", "split", "roi", "weights", "out"),
        (),
    ),
    "explain": (
        explain,
        "Grad-CAM, and what a class head sees",
        ("name",),
        ("packed", "split", "roi", "weights", "out"),
        (),
    ),
    "score": (score, "one row of counts per test image", ("name",), ("packed", "split", "predictions", "out"), ()),
    "baseline": (
        baseline,
        "fit and score one reference point: a trivial mask or a shortcut",
        ("name",),
        ("packed", "split", "out"),
        (),
    ),
    "architectures": (architectures, "layers, shapes and parameters of all networks", (), ("out",), ()),
    "table": (table, "one table of a paper, printed beside measured", ("name",), ("data", "results", "out"), ()),
    "figure": (figure, "one figure", ("name",), ("data", "results", "out"), ()),
    "comparison": (
        comparison,
        "every printed value beside its measured counterpart",
        (),
        ("data", "results", "out"),
        (),
    ),
    "cards": (
        cards,
        "model card of each run, data card, Croissant",
        (),
        ("data", "results", "out"),
        (),
    ),
    "crate": (crate, "describe results as an RO-Crate, or copy them into one", (), ("results",), ("out",)),
    "claim": (claim, "the CLAIM checklist for this repository", (), ("out",), ()),
    "page": (page, "the report as a static site", (), ("data", "results", "out"), ()),
    "check": (
        check,
        "make committed tables and figures again, or compare two folders of tables; docs/checks.md",
        (),
        (),
        ("results", "data", "expected", "actual", "since"),
    ),
    "tolerances": (tolerances, "how far results of several machines are apart", ("folders",), ("out",), ()),
    "readme": (readme, "put the measured overview into a Markdown file", (), ("results", "out"), ()),
    "systems": (systems, "list systems, tasks, inputs, parameters, runs and their state", (), (), ("results",)),
    "params": (params, "print the merged and validated settings", (), (), ("out",)),
}
SEVERAL: dict[tuple[str, str], dict[str, Any]] = {  # arguments that may be given more than once
    ("check", "results"): {"action": "append"},
    ("tolerances", "folders"): {"nargs": "+", "type": Path},
}


def parser() -> argparse.ArgumentParser:
    """The command line, built from `STEPS`."""
    top = argparse.ArgumentParser(prog="covidqu", description=sys.modules["covidqu"].__doc__)
    top.add_argument("--params", action="append", metavar="FILE", help="parameter file; repeat to lay overlays on top")
    commands = top.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, (_, text, positional, required, optional) in STEPS.items():
        command = commands.add_parser(name, help=text, description=text)
        for argument in positional:
            command.add_argument(argument, **SEVERAL.get((name, argument), {}))
        for argument in (*required, *optional):
            more = SEVERAL.get((name, argument), {})
            command.add_argument(f"--{argument}", type=Path, required=argument in required, metavar="PATH", **more)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one step. Faults of input end with one clear message and status 2; `check` has 1 and 3 of its own."""
    parsed = parser().parse_args(arguments)
    try:
        result = STEPS[parsed.step][0](parsed, load(parameter_files(parsed.params)))
    except (ValueError, OSError) as error:
        print(f"covidqu {parsed.step}: {error}", file=sys.stderr)
        return 2
    return result if isinstance(result, int) else 0
