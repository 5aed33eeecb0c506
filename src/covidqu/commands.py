"""The subcommands: a signature is the list of options, a docstring the help text, the result the status (None: done).

Heavy imports happen inside, so that `covidqu --help` and the data steps stay light. What a step imports as `step` is
its module: `imports.step_modules` reads it here.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from typer import Argument, Option

if TYPE_CHECKING:
    from covidqu.config.params import Params
    from covidqu.data.examples import Inputs


class Settings(NamedTuple):
    """The settings of a call; `named`: the parameter files were named, on the command line or in the environment."""

    params: "Params"
    files: list[Path]
    named: bool


def settings(files: list[Path]) -> Settings:
    """Of `files` (--params), else of COVIDQU_PARAMS (separated like PATH), else of params.yaml.

    ValueError inside a DVC stage with COVIDQU_PARAMS: DVC would record the settings of params.yaml for it.
    """
    from covidqu.config.params import load

    if "DVC_STAGE" in os.environ and "COVIDQU_PARAMS" in os.environ:
        raise ValueError("COVIDQU_PARAMS is set, and DVC knows params.yaml only; unset it and run `dvc repro` again")
    named = bool(files) or "COVIDQU_PARAMS" in os.environ
    files = files or [Path(name) for name in os.environ.get("COVIDQU_PARAMS", "params.yaml").split(os.pathsep)]
    params = load(files)
    refuse_unlisted(params)
    return Settings(params, files, named)


def refuse_unlisted(p: "Params", dvc_yaml: Path = Path("dvc.yaml")) -> None:
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


Out = Annotated[Path, Option(help="file or folder to write")]
Data = Annotated[Path, Option(help="folder of the data: packed/, audit/, roi/, split.parquet")]
Results = Annotated[Path, Option(help="folder of the results: runs/, tables/, figures/")]
SomeData = Annotated[Path | None, Option(help="folder of the data; without it that of the settings")]
SomeResults = Annotated[Path | None, Option(help="folder of the results; without it that of the settings")]
Packed = Annotated[Path, Option(help="folder that `pack` wrote")]
Split = Annotated[Path, Option(help="file that `split` wrote")]
Roi = Annotated[Path, Option(help="lung masks that the images are seen through")]
Weights = Annotated[Path, Option(help="trained weights (safetensors)")]
Predictions = Annotated[Path, Option(help="file that `predict` wrote")]
Public = Annotated[bool, Option("--public", help="without any image of a patient, so that it may be published")]
Sheet = Annotated[Path, Option(help="picture to write: some of the masks")]
Run = Annotated[str, Argument(help="run, as in `covidqu systems`")]
Masks = Annotated[str, Argument(help="source of lung masks, as under `roi` in the settings")]
Names = Annotated[list[str] | None, Argument(help="names, such as unet-roi/table-4 or common/cost; none: all")]


def source(s: Settings, out: Out) -> object:
    """What the archive is to be made of."""
    from covidqu.ingest.source import source as step

    return step(out, s.params.download)


def download(s: Settings, source: Annotated[Path, Option(help="file that `source` wrote")], out: Out) -> object:
    """Get the archive."""
    from covidqu.ingest.download import download as step

    return step(source, out, s.params.download)


def pack(s: Settings, archive: Annotated[Path, Option(help="zip file of `download`")], out: Out) -> object:
    """Read the archive once into arrays and an index."""
    from covidqu.ingest.pack import pack as step

    return step(archive, out)


def audit(s: Settings, packed: Packed, out: Out) -> object:
    """Duplicates, conflicts and counts; a gate."""
    from covidqu.ingest.audit import audit as step

    return step(packed, out, s.params.audit)


def split(s: Settings, packed: Packed, audit: Annotated[Path, Option(help="folder of `audit`")], out: Out) -> object:
    """Official, deduplicated and grouped k-fold splits."""
    from covidqu.ingest.split import split as step

    return step(packed, audit, out, s.params.split)


def roi(s: Settings, name: Masks, packed: Packed, out: Out, sheet: Sheet) -> object:
    """Lung masks that need no model."""
    from covidqu.ingest.roi import roi as step

    return step(name, packed, out, sheet)


def roi_predicted(s: Settings, name: Masks, packed: Packed, predictions: Predictions, out: Out, sheet: Sheet) -> object:
    """Lung masks predicted by a run."""
    from covidqu.ingest.roi import roi_predicted as step

    return step(name, packed, predictions, out, sheet)


def initial(s: Settings, name: Annotated[str, Argument(help="`init` of a run")], out: Out) -> object:
    """Initial weights: random or from the hub."""
    from covidqu.steps.initial import initial as step

    return step(name, out)


def inputs(packed: Path, split: Path, roi: Path) -> "Inputs":
    from covidqu.data.examples import Inputs

    return Inputs(packed=packed, split=split, roi=roi)


def train(
    s: Settings,
    name: Run,
    packed: Packed,
    split: Split,
    roi: Roi,
    init: Annotated[Path, Option(help="weights to start from")],
    weights: Annotated[Path, Option(help="file to write the weights to")],
    out: Annotated[Path, Option(help="folder for card and history")],
    resume: Annotated[Path, Option(help="folder for the state after each epoch")],
) -> object:
    """Train one run."""
    from covidqu.steps.train import train as step

    places = {"init": init, "weights": weights, "out": out, "resume": resume}
    places["live"] = Path(s.params.paths.results) / "live" / name
    return step(name, s.params.run(name), inputs(packed, split, roi), s.params.machine, **places)


def predict(s: Settings, name: Run, packed: Packed, split: Split, roi: Roi, weights: Weights, out: Out) -> object:
    """Logits of one run on the test images."""
    from covidqu.steps.predict import predict as step

    masks = name in s.params.roi.predicted
    return step(name, s.params.run(name), inputs(packed, split, roi), weights=weights, out=out, roi_masks=masks)


def explain(s: Settings, name: Run, packed: Packed, split: Split, roi: Roi, weights: Weights, out: Out) -> object:
    """Grad-CAM, and what a class head sees."""
    from covidqu.steps.explain import explain as step

    return step(name, s.params.run(name), inputs(packed, split, roi), weights=weights, out=out)


def validate(s: Settings, name: Run, packed: Packed, split: Split, roi: Roi, weights: Weights, out: Out) -> object:
    """One row of counts per validation image, of a run that an ablation compares."""
    from covidqu.steps.validate import validate as step

    return step(name, s.params.run(name), inputs(packed, split, roi), weights=weights, out=out)


def score(s: Settings, name: Run, packed: Packed, split: Split, predictions: Predictions, out: Out) -> object:
    """One row of counts per test image."""
    from covidqu.evaluate.scores import score as step

    return step(name, packed, split, predictions, out, s.params.evaluate)


def baseline(
    s: Settings, name: Annotated[str, Argument(help="name under `baselines`")], packed: Packed, split: Split, out: Out
) -> object:
    """Fit and score one baseline: a trivial mask or a shortcut."""
    from covidqu.steps.baselines import baseline as step

    return step(name, s.params.baseline(name), packed, split, out)


def architectures(s: Settings, out: Out) -> object:
    """Layers, shapes and parameters of all networks."""
    from covidqu.steps.architectures import architectures as step

    return step(s.params, out)


def cost(s: Settings, out: Out) -> object:
    """Operations and measured speed of all networks."""
    from covidqu.steps.cost import cost as step

    return step(s.params, out)


def tables(s: Settings, data: Data, results: Results, out: Out, names: Names = None) -> object:
    """Tables, printed beside measured: all of them, or those named."""
    from covidqu.report.tables import tables as step

    return step(names or [], s.params, data, results, out)


def figures(s: Settings, data: Data, results: Results, out: Out, names: Names = None) -> object:
    """Figures: all of them, or those named."""
    from covidqu.report.figures import figures as step

    return step(names or [], s.params, data, results, out)


def comparison(s: Settings, data: Data, results: Results, out: Out) -> object:
    """Every printed value beside its measured counterpart."""
    from covidqu.report.comparison import comparison as step

    return step(s.params, data, results, out)


def cards(s: Settings, data: Data, results: Results, out: Out) -> object:
    """Model card of each run, data card, Croissant."""
    from covidqu.standards.cards import cards as step

    return step(s.params, s.files, data, results, out)


def crate(
    s: Settings, results: Results, out: Annotated[Path | None, Option(help="zip file or folder to write")] = None
) -> object:
    """Describe results as an RO-Crate, or copy them into one."""
    from covidqu.standards.crate import crate as step

    return step(s.params, results, out)


def page(s: Settings, data: Data, results: Results, out: Out, public: Public = False) -> object:
    """The report as a static site."""
    from covidqu.page.site import page as step

    step(s.params, data, results, out, s.files, public=public)
    return print(out / "index.html")


def export(
    s: Settings,
    kind: Annotated[Literal["table", "figure", "model", "bundle"], Argument(help="what it is")],
    names: Annotated[list[str], Argument(help="name, such as unet-roi/table-4 or reference; of a bundle all seeds")],
    out: Annotated[Path, Option(help="file: .tex, .md or .csv, .pdf (figure), .onnx (model); a folder (bundle)")],
    width: Annotated[Literal["3.5", "7"] | None, Option(help="of a figure, in inches; 7 without it")] = None,
    weights: Annotated[
        Literal["float32", "float16"] | None,
        Option(help="how weights are stored: float32 without it, in a bundle float16"),
    ] = None,
    results: SomeResults = None,
    data: SomeData = None,
) -> object:
    """One table or figure for a manuscript, a run as an ONNX model, or the seeds of a run as a bundle to read with."""
    places = Path(data or s.params.paths.data), Path(results or s.params.paths.results)
    if kind == "bundle":
        from covidqu.steps.bundle import bundle

        return bundle(names, s.params, *places, out, weights or "float16")
    if len(names) > 1:
        raise ValueError(f"{' '.join(names)}: one {kind} at a time, a bundle alone is of several")
    if kind == "model":
        from covidqu.steps.bundle import model

        return model(names[0], s.params, places[1], out, weights or "float32")
    from covidqu.report.export import export as step

    return step(kind, names[0], s.params, *places, out, float(width) if width else None)


def read(
    files: list[Path],
    inputs: Annotated[list[Path], Argument(help="PNG, JPEG, TIFF or DICOM files, folders of them, patterns")],
    out: Annotated[Path, Option(help="folder to write: overlays, masks, JSON files, readings.csv")],
    model: Annotated[str | None, Option(help="bundle to read with: its name or folder; `reference` without it")] = None,
    run: Annotated[list[str] | None, Option(help="read with this trained run; repeat it for seeds of one run")] = None,
    weights: Annotated[Path | None, Option(help="read with this file of weights (safetensors) of `--run`")] = None,
    truth: Annotated[Path | None, Option(help="folder of masks with the same names to score against")] = None,
    threads: Annotated[int | None, Option(min=1, help="cores to use; all without it")] = None,
    seeds: Annotated[int | None, Option(min=1, help="the first so many seeds of the model alone: faster")] = None,
) -> object:
    """Your own chest X-rays: lungs, COVID-19 infection, shares and warnings; docs/reading.md. Not for diagnosis.

    Exit status 1: some pictures could not be read, the others were.
    """
    from covidqu.reading.read import read as step

    if model is not None and (run or weights):
        raise ValueError(f"--model {model}: it is a model already; leave --run and --weights out")
    if not run and not weights:
        return step(inputs, out, Path(model or "reference"), threads, truth, seeds)
    from covidqu.steps.bundle import of_runs

    return step(inputs, out, of_runs(run or [], weights, settings(files).params), threads, truth, seeds)


def readme(
    s: Settings,
    results: Results,
    out: Annotated[list[Path], Option(help="Markdown file to write into; repeatable")],
) -> object:
    """Write tables and findings between their markers, in README.md and docs/results.md."""
    from covidqu.report.checks.recompute import chosen
    from covidqu.report.core.sources import Sources
    from covidqu.report.readme import readme as step

    (params,) = chosen([results], s.params if s.named else None).values()
    return step(Sources(params, results, results), out)  # no data are read


def systems(s: Settings, results: SomeResults = None) -> object:
    """List systems, tasks, inputs, parameters, runs and their state."""
    from covidqu.steps.listing import listing as step

    return print(step(s.params, results or Path(s.params.paths.results)))


def params(
    s: Settings,
    run: Annotated[str | None, Argument(help="run, with the source of each value; none: all settings")] = None,
    out: Annotated[Path | None, Option(help="file to write instead of the terminal")] = None,
) -> object:
    """Print the merged and validated settings, or one run whole, with the source of each value."""
    import yaml

    from covidqu.config.shown import shown
    from covidqu.files import write_text

    text = shown(s.params, s.files, run) if run else yaml.safe_dump(s.params.model_dump(mode="json"), sort_keys=False)
    return write_text(out, text) if out else print(text, end="")


def reader(
    files: list[Path],
    out: Out,
    model: Annotated[str, Option(help="folder of a bundle, or name of one that is here")] = "reference",
) -> object:
    """A page that reads one's own chest X-rays in a browser, offline; docs/reader_page.md. Not for diagnosis."""
    from covidqu.page.reader.build import reader as step

    step(out, model)
    return print(out / "index.html")


def check(
    s: Settings,
    results: Annotated[list[Path] | None, Option(help="folder to check; repeat for several; none: all")] = None,
    data: Annotated[Path | None, Option(help="folder of the data; without it what needs data is skipped")] = None,
    fix: Annotated[bool, Option("--fix", help="put what was made again in the place of what is there")] = False,
) -> object:
    """Make committed tables and figures again from their scores; docs/checks.md."""
    from covidqu.report.checks.recompute import recompute as step

    return step(results, data, s.params if s.named else None, fix)


def verify(
    s: Settings,
    data: SomeData = None,
    results: SomeResults = None,
    aside: Annotated[bool, Option("--aside", help="rename damaged files: an engine makes them again")] = False,
) -> object:
    """Read every file and name those that are not what they were made as; docs/checks.md."""
    from covidqu.steps.verify import verify as step

    places = Path(data or s.params.paths.data), Path(results or s.params.paths.results)
    return step(s.params, *places, aside)


def ready(s: Settings, names: Names = None) -> object:
    """Whether this machine can train all runs, or those named: devices, precision, networks."""
    from covidqu.steps.ready import ready as step

    return step(s.params, names or [])


def trust(
    s: Settings,
    out: Out,
    bundle: Annotated[
        str, Option(help="folder of a bundle, or the name of one that comes with the package")
    ] = "reference",
    data: SomeData = None,
    page: Annotated[Path | None, Option(help="Markdown file to write the tables into")] = None,
) -> object:
    """How often each warning of a bundle is given; docs/when_not_to_trust.md."""
    from covidqu.reading.detection import detection as step

    return step(bundle, Path(data or s.params.paths.data), out, page)


def claim(s: Settings, out: Out) -> object:
    """The CLAIM checklist for this repository."""
    from covidqu.standards.checklist import claim as step

    return step(out)
