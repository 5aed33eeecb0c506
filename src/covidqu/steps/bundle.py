"""Step `export` of models: a run as an ONNX file, or the seeds of a run as a bundle that `reading` opens.

Input: settings, trained weights, the run's card and metrics, for a bundle the packed data and the split; output: one
.onnx file, or a folder as `reading.bundle` describes it.
"""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from covidqu.config.params import Params
from covidqu.config.training import Run
from covidqu.data.examples import IMAGENET_MEAN, IMAGENET_STD, Statistics
from covidqu.files import remove, replacing, sha256
from covidqu.reading.bundle import METADATA, README, open_bundle, write_metadata
from covidqu.standards.bundle_card import UNTESTED, card, described, scores
from covidqu.steps.familiar import familiar
from covidqu.steps.graph import Stored, Trained, exported
from covidqu.stored import read_json
from covidqu.systems.weights import read_weights

ARRAYS = "reference.npz"
DECIDES = ("model", "roi", "image_px", "filters", "normalise", "classes")  # settings that weights hold for alone
One = tuple[Trained, Trained | None]  # a training, and the one whose lungs it sees through


def model(name: str, params: Params, results: Path, out: Path, stored: Stored = "float32") -> None:
    """Write one run as an ONNX file; ValueError for a run that cannot be read with, and weights of other settings."""
    graph = exported(*with_lungs(name, params, results), stored)
    with replacing(out, recorded=False) as part:
        onnx.save(graph, part)
    print(f"{name}: {out}, {out.stat().st_size / 1e6:.1f} MB", file=sys.stderr)


def bundle(names: list[str], params: Params, data: Path, results: Path, out: Path, stored: Stored = "float16") -> None:
    """Write trainings of one run as a bundle: its graphs, metadata, arrays for the warnings and model card.

    A bundle that stands there is replaced; ValueError for any other folder.
    """
    check_names(names, params)
    if out.exists() and not (out / METADATA).is_file():
        raise ValueError(f"{out}: is there and is no bundle; name another folder")
    found = scores(names, params.run(names[0]), results)
    write([with_lungs(name, params, results) for name in names], params, data, found, out, stored)


def of_runs(names: list[str], weights: Path | None, params: Params) -> Path:
    """The folder of a bundle of trained runs, made in the results unless it is there; in float32.

    `weights`: a file of weights in place of those in the results, of the run that is named, or that it names itself.
    Where the packed data are not at hand, it is made without limits and temperature, and says so.
    """
    data, results = Path(params.paths.data), Path(params.paths.results)
    if weights is not None:
        members = [of_file(weights, names, params, results)]
    else:
        check_names(names, params)
        members = [with_lungs(name, params, results) for name in names]
    at_hand = (data / "packed").is_dir() and (data / "split.parquet").is_file()
    if not at_hand:
        print(f"{data}: no packed data, so no limits for warnings and no calibrated classes", file=sys.stderr)
    made_of = [version("covidqu"), at_hand, *(sha256(one.weights) for pair in members for one in pair if one)]
    key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:12]
    out = results / "bundles" / f"{params.base(members[0][0].name)}-{key}"
    if not (out / METADATA).is_file():
        out.parent.mkdir(parents=True, exist_ok=True)
        write(members, params, data if at_hand else None, {}, out, "float32")
    return out


def check_names(names: list[str], params: Params) -> None:
    """ValueError unless they are different trainings of one run."""
    for name in names:
        params.run(name)
    bases = {params.base(name) for name in names}
    if len(bases) != 1 or len(set(names)) != len(names):
        valid = ", ".join(params.seeds(params.base(names[0]))) if names else "see `covidqu systems`"
        raise ValueError(f"{', '.join(names) or 'no run'}: a bundle holds different seeds of one run, as {valid}")


def write(
    members: list[One], params: Params, data: Path | None, scored: dict[str, list[float]], out: Path, stored: Stored
) -> None:
    """All files of a bundle, in the place of one that is there; without `data` no limits for warnings."""
    run, base = members[0][0].run, params.base(members[0][0].name)
    with replacing(out, recorded=False) as part:
        part.mkdir()
        files: list[dict[str, Any]] = []
        for one, lungs in members:
            made, file = exported(one, lungs, stored), part / f"{one.name}.onnx"
            onnx.save(made, file)
            known = {"file": file.name, "sha256": sha256(file), "seed": one.run.seed}
            files.append(known | {"weights_sha256": sha256(one.weights), "data_hash": learnt_from(one)})
        facts = described(base, run, params, len(members), channels(made))
        facts |= {"weights": stored, "members": files, "scores": scored, "temperature": 1.0, "trust": {}}
        arrays: dict[str, np.ndarray] = {}
        if data is None:
            facts["limits"] = [UNTESTED, *facts["limits"]]
        else:
            found = familiar(run, data, [part / one["file"] for one in files])
            arrays, facts["temperature"] = found.known.arrays, found.temperature
            facts["trust"] = {code: limit._asdict() for code, limit in found.known.limits.items()}
            facts["training_data"] = facts["training_data"] | {"images": found.images}
        np.savez_compressed(part / ARRAYS, **arrays)
        facts["arrays"] = {"file": ARRAYS, "sha256": sha256(part / ARRAYS)}
        (part / README).write_text(card(write_metadata(part, facts)), encoding="utf-8")
        open_bundle(part)
        remove(out)
    print(f"{out}: {', '.join(sorted(file.name for file in out.iterdir()))}", file=sys.stderr)


def channels(graph: onnx.ModelProto) -> dict[str, int]:
    """Output -> its second axis where it is a vector, 1 of a mask."""
    shapes = {output.name: output.type.tensor_type.shape.dim for output in graph.graph.output}
    return {name: shape[1].dim_value if len(shape) == 2 else 1 for name, shape in shapes.items()}


def with_lungs(name: str, params: Params, results: Path) -> One:
    """A training, and the one whose lungs it sees through."""
    run = params.run(name)
    return trained(name, run, results), lungs_of(run, params, results)


def lungs_of(run: Run, params: Params, results: Path) -> Trained | None:
    return trained(run.roi, params.run(run.roi), results) if run.roi in params.roi.predicted else None


def of_file(weights: Path, names: list[str], params: Params, results: Path) -> One:
    """A training by its file of weights, of the one run that is named, or that the file names with its settings."""
    if len(names) > 1:
        raise ValueError(f"{weights}: is of one run, {len(names)} are named; name one")
    about = read_weights(weights)[1]
    if names:
        run = params.run(names[0])
        fit(weights, run)
    elif "run" not in about or "config" not in about:
        raise ValueError(f"{weights}: does not say what run it is of; name it with --run")
    else:
        run = Run.model_validate(about["config"])
    name = names[0] if names else about["run"]
    place = weights.parent.parent  # where `train` puts them: results/weights
    return Trained(name, run, weights, statistics(name, run, place)), lungs_of(run, params, results)


def trained(name: str, run: Run, results: Path) -> Trained:
    """A run's weights, of these settings, and its intensities; ValueError for others, and for none."""
    weights = results / "weights" / f"{name}.safetensors"
    if not weights.is_file():
        raise ValueError(f"{weights}: no such file; train the run '{name}' first, or name its folder with --results")
    fit(weights, run)
    return Trained(name, run, weights, statistics(name, run, results))


def fit(weights: Path, run: Run) -> None:
    """ValueError for weights that were trained with settings of another network."""
    was, now = read_weights(weights)[1].get("config", {}), run.model_dump(mode="json")
    for key in DECIDES:
        if key in was and was[key] != now[key]:
            raise ValueError(
                f"{weights}: trained with {key} {was[key]}, the settings say {now[key]}; give the parameter files that "
                "it was trained with (--params)"
            )


def statistics(name: str, run: Run, results: Path) -> Statistics | None:
    """What the run normalises with: of `lung_tissue` as its card has it."""
    if run.normalise == "unit":
        return None
    if run.normalise == "imagenet":
        return IMAGENET_MEAN, IMAGENET_STD
    card = results / "runs" / name / "card.json"
    mean, deviation = read_json(card, f"train the run '{name}' again")["intensity_statistics"]
    return tuple(mean), tuple(deviation)


def learnt_from(one: Trained) -> str:
    """Hash of the data that the weights were learnt from; zeros where they do not say."""
    return read_weights(one.weights)[1].get("data_hash", "0" * 64)
