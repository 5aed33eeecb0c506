"""What each subcommand calls: parsed arguments and parameters in, the step's status (None: done) out.

Heavy imports happen inside, so that `covidqu --help` and the data steps stay light.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from covidqu.config.params import Params

if TYPE_CHECKING:
    from covidqu.data.examples import Inputs


def parameter_files(arguments: list[str] | None) -> list[Path]:
    """--params, else COVIDQU_PARAMS (separated like PATH), else params.yaml.

    ValueError inside a DVC stage with COVIDQU_PARAMS: DVC would record the settings of params.yaml for it.
    """
    if "DVC_STAGE" in os.environ and "COVIDQU_PARAMS" in os.environ:
        raise ValueError("COVIDQU_PARAMS is set, and DVC knows params.yaml only; unset it and run `dvc repro` again")
    names = arguments or os.environ.get("COVIDQU_PARAMS", "params.yaml").split(os.pathsep)
    return [Path(name) for name in names]


def refuse_unlisted(p: Params, dvc_yaml: Path = Path("dvc.yaml")) -> None:
    """ValueError inside a DVC stage if dvc.yaml has other trainings than the parameters: DVC would skip some."""
    if "DVC_STAGE" not in os.environ or not dvc_yaml.is_file():
        return
    import yaml

    stages = yaml.safe_load(dvc_yaml.read_text(encoding="utf-8"))["stages"]
    for stage, wanted in (("train", set(p.resolved)), ("explain", set(p.explain))):
        listed = stages.get(stage, {}).get("foreach")
        if isinstance(listed, dict) and (other := sorted(wanted ^ set(listed))):
            raise ValueError(
                f"dvc.yaml and params.yaml differ in what they {stage}: {', '.join(other)}; write it with "
                "`python workflow/dvc_lists.py --fix` (for an experiment: edit `runs`, call this, then `dvc exp run`)"
            )


def source(a: argparse.Namespace, p: Params) -> object:
    from covidqu.ingest.source import source as step

    return step(a.out, p.download)


def download(a: argparse.Namespace, p: Params) -> object:
    from covidqu.ingest.download import download as step

    return step(a.source, a.out, p.download)


def pack(a: argparse.Namespace, p: Params) -> object:
    from covidqu.ingest.pack import pack as step

    return step(a.archive, a.out)


def audit(a: argparse.Namespace, p: Params) -> object:
    from covidqu.ingest.audit import audit as step

    return step(a.packed, a.out, p.audit)


def split(a: argparse.Namespace, p: Params) -> object:
    from covidqu.ingest.split import split as step

    return step(a.packed, a.audit, a.out, p.split)


def roi(a: argparse.Namespace, p: Params) -> object:
    from covidqu.ingest.roi import roi as step

    return step(a.name, a.packed, a.out, a.sheet)


def roi_predicted(a: argparse.Namespace, p: Params) -> object:
    from covidqu.ingest.roi import roi_predicted as step

    return step(a.name, a.packed, a.predictions, a.out, a.sheet)


def initial(a: argparse.Namespace, p: Params) -> object:
    from covidqu.steps.initial import initial as step

    return step(a.name, a.out)


def inputs(a: argparse.Namespace) -> "Inputs":
    from covidqu.data.examples import Inputs

    return Inputs(packed=a.packed, split=a.split, roi=a.roi)


def train(a: argparse.Namespace, p: Params) -> object:
    from covidqu.steps.train import train as step

    live = Path(p.paths.results) / "live" / a.name
    places = {"init": a.init, "weights": a.weights, "out": a.out, "resume": a.resume, "live": live}
    return step(a.name, p.run(a.name), inputs(a), p.machine, **places)


def predict(a: argparse.Namespace, p: Params) -> object:
    from covidqu.steps.predict import predict as step

    masks = a.name in p.roi.predicted
    return step(a.name, p.run(a.name), inputs(a), weights=a.weights, out=a.out, roi_masks=masks)


def validate(a: argparse.Namespace, p: Params) -> object:
    from covidqu.steps.validate import validate as step

    return step(a.name, p.run(a.name), inputs(a), weights=a.weights, out=a.out)


def explain(a: argparse.Namespace, p: Params) -> object:
    from covidqu.steps.explain import explain as step

    return step(a.name, p.run(a.name), inputs(a), weights=a.weights, out=a.out)


def architectures(a: argparse.Namespace, p: Params) -> object:
    from covidqu.steps.architectures import architectures as step

    return step(p, a.out)


def cost(a: argparse.Namespace, p: Params) -> object:
    from covidqu.steps.cost import cost as step

    return step(p, a.out)


def systems(a: argparse.Namespace, p: Params) -> object:
    from covidqu.steps.listing import listing as step

    print(step(p, a.results or Path(p.paths.results)))
    return None


def score(a: argparse.Namespace, p: Params) -> object:
    from covidqu.evaluate.scores import score as step

    return step(a.name, a.packed, a.split, a.predictions, a.out, p.evaluate)


def baseline(a: argparse.Namespace, p: Params) -> object:
    from covidqu.steps.baselines import baseline as step

    return step(a.name, p.baseline(a.name), a.packed, a.split, a.out)


def tables(a: argparse.Namespace, p: Params) -> object:
    from covidqu.report.tables import tables as step

    return step(a.names, p, a.data, a.results, a.out)


def figures(a: argparse.Namespace, p: Params) -> object:
    from covidqu.report.figures import figures as step

    return step(a.names, p, a.data, a.results, a.out)


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

    step(p, a.data, a.results, a.out, parameter_files(a.params), public=a.public)
    print(a.out / "index.html")
    return None


def check(a: argparse.Namespace, p: Params) -> object:
    from covidqu.report.checks.recompute import recompute as step

    named = a.params or "COVIDQU_PARAMS" in os.environ
    return step(a.results, a.data, p if named else None, a.fix)


def readme(a: argparse.Namespace, p: Params) -> object:
    from covidqu.report.readme import readme as step

    return step(a.results, a.out)


def params(a: argparse.Namespace, p: Params) -> object:
    import yaml

    from covidqu.config.shown import shown

    if a.run:
        text = shown(p, parameter_files(a.params), a.run)
    else:
        text = yaml.safe_dump(p.model_dump(mode="json"), sort_keys=False)
    if a.out is None:
        print(text, end="")
        return None
    from covidqu.files import write_text

    return write_text(a.out, text)
