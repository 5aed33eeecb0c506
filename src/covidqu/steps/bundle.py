"""Step `export` of models: a run as an ONNX file, or the seeds of a run as a bundle that `reading` opens.

Enters: settings, trained weights, the run's card and metrics, for a bundle the packed data and the split; leaves: one
.onnx file, or a folder as `reading.bundle` describes it.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from huggingface_hub import ModelCardData

from covidqu.config.params import Params
from covidqu.config.training import Run
from covidqu.data.examples import IMAGENET_MEAN, IMAGENET_STD, Statistics, split_rows, trained_on
from covidqu.data.index import open_packed
from covidqu.evaluate.scores import METRICS
from covidqu.files import remove, replacing, sha256
from covidqu.reading.bundle import METADATA, NOTICE, README, Metadata, open_bundle, write_metadata
from covidqu.standards.rendering import card_text
from covidqu.steps.graph import Stored, Trained, exported
from covidqu.stored import read_json
from covidqu.systems.weights import read_weights

ARRAYS = "reference.npz"
INTENDED = (
    "To study methods: what a network marks on a frontal chest X-ray of an adult, how far seeds agree, and how far it "
    "is from other readings. Not for diagnosis, not for triage, not for any decision about a patient."
)
LIMITS = [
    "Learnt from one public data set: other projections, devices, children and other diseases are not in it.",
    "COVID-19, Non-COVID and Normal images come from different collections: a class can be that of the collection.",
    "Masks were drawn with the help of networks, one annotation per image; two annotations of one radiograph agree at "
    "a Dice of about 0.90.",
    "There are no patient identifiers: one patient may be in Train and in Test. No external test, no reader study.",
]
SCORES = {  # measure -> where metrics.json has it
    "infection Dice, COVID-19 images": ("infection", "img_covid_dice"),
    "share of Normal images with more than 1 % marked": ("infection", "fp_normal_over_1_percent"),
    "share of other pneumonia images with more than 1 % marked": ("infection", "fp_pneumonia_over_1_percent"),
    "lung Dice": ("lung", "img_covid_dice"),
    "accuracy of the classes": ("class", "accuracy"),
}


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
    with replacing(out, recorded=False) as part:
        part.mkdir(parents=True)
        write(names, params, data, results, part, stored)
        open_bundle(part)
        remove(out)
    print(f"{out}: {', '.join(sorted(file.name for file in out.iterdir()))}", file=sys.stderr)


def check_names(names: list[str], params: Params) -> None:
    """ValueError unless they are different trainings of one run."""
    for name in names:
        params.run(name)
    bases = {params.base(name) for name in names}
    if len(bases) != 1 or len(set(names)) != len(names):
        valid = ", ".join(params.seeds(params.base(names[0]))) if names else "see `covidqu systems`"
        raise ValueError(f"{', '.join(names) or 'no run'}: a bundle holds different seeds of one run, as {valid}")


def write(names: list[str], params: Params, data: Path, results: Path, out: Path, stored: Stored) -> Metadata:
    """All files of a bundle into an empty folder."""
    run, base, members = params.run(names[0]), params.base(names[0]), []
    packed = open_packed(data / "packed")
    for name in names:
        graph, lungs = with_lungs(name, params, results)
        made, file = exported(graph, lungs, stored), f"{name}.onnx"
        onnx.save(made, out / file)
        about = {"file": file, "sha256": sha256(out / file), "seed": params.run(name).seed}
        members.append(about | {"weights_sha256": sha256(graph.weights), "data_hash": learnt_from(graph)})
    outputs = json.loads(next(p.value for p in made.metadata_props if p.key == "outputs"))
    phantom = params.download.source == "phantom"
    parts = split_rows(packed, data / "split.parquet", run.subset, run.split)
    facts: dict[str, Any] = {
        "name": base,
        "version": version("covidqu"),
        "covidqu_version": version("covidqu"),
        "task": f"{', '.join(outputs[:-1])} of a frontal chest X-ray",
        "description": f"Run `{base}` of system `{run.model.system}`, trained with {len(names)} different seeds.",
        "authors": "The covidqu maintainers",
        "copyright": "MIT (code)" + ("" if phantom else "; learnt from data under CC BY-SA 4.0"),
        "intended_use": INTENDED,
        "limits": (["Learnt from synthetic phantoms: its outputs mean nothing."] if phantom else []) + LIMITS,
        "run": base,
        "system": run.model.system,
        "image_px": run.image_px,
        "output_px": run.evaluate_px,
        "filters": [step.model_dump() for step in run.filters],
        "roi": run.roi,
        "normalise": run.normalise,
        "flip_test": run.flip_test,
        "weights": stored,
        "outputs": outputs,
        "classes": run.class_map,
        "temperature": 1.0,
        "members": members,
        "trust": {},
        "training_data": training_data(phantom, len(trained_on(packed, parts["Train"], run))),
        "scores": scores(names, run, results),
        "network_data_format": formats(made, run),
    }
    np.savez(out / ARRAYS, **{})
    facts["arrays"] = {"file": ARRAYS, "sha256": sha256(out / ARRAYS)}
    found = write_metadata(out, facts)
    (out / README).write_text(card(found), encoding="utf-8")
    return found


def with_lungs(name: str, params: Params, results: Path) -> tuple[Trained, Trained | None]:
    """A training, and the one whose lungs it sees through."""
    run = params.run(name)
    return trained(name, run, results), trained(run.roi, params.run(run.roi), results) if (
        run.roi in params.roi.predicted
    ) else None


def trained(name: str, run: Run, results: Path) -> Trained:
    """A run's weights, of these settings, and its intensities; ValueError for others, OSError for none."""
    weights = results / "weights" / f"{name}.safetensors"
    if not weights.is_file():
        raise ValueError(f"{weights}: no such file; train the run '{name}' first, or name its folder with --results")
    was, now = read_weights(weights)[1].get("config", {}), run.model_dump(mode="json")
    for key in ("model", "roi", "image_px", "filters", "normalise", "classes"):
        if key in was and was[key] != now[key]:
            raise ValueError(
                f"{weights}: trained with {key} {was[key]}, the settings say {now[key]}; give the parameter files that "
                "it was trained with (--params)"
            )
    return Trained(name, run, weights, statistics(name, run, results))


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
    """Hash of the data that the weights were learnt from."""
    return read_weights(one.weights)[1]["data_hash"]


def scores(names: list[str], run: Run, results: Path) -> dict[str, list[float]]:
    """Measure -> value on Test of each training; ValueError where one was not scored."""
    metrics = []
    for name in names:
        path = results / "runs" / name / METRICS
        if not path.is_file():
            raise ValueError(f"{path}: no such file; `predict` and `score` the run '{name}' first")
        metrics.append(read_json(path, f"score the run '{name}' again"))
    return {
        measure: [found[task][key] for found in metrics]
        for measure, (task, key) in SCORES.items()
        if task in run.tasks and all(key in found.get(task, {}) for found in metrics)
    }


def training_data(phantom: bool, images: int) -> dict[str, Any]:
    """What a bundle says of the data."""
    if phantom:
        return {"name": "synthetic phantoms", "licence": "MIT", "citation": "covidqu", "images": images}
    return {
        "name": "COVID-QU-Ex",
        "licence": "CC BY-SA 4.0",
        "citation": "Tahir et al. (2021), doi 10.1016/j.compbiomed.2021.105002",
        "images": images,
    }


def formats(graph: onnx.ModelProto, run: Run) -> dict[str, Any]:
    """Inputs and outputs in the words of MONAI."""
    px, out = run.image_px, run.evaluate_px
    image = {"type": "image", "format": "grayscale", "modality": "CR", "num_channels": 1, "spatial_shape": [px, px]}
    image |= {"dtype": "uint8", "value_range": [0, 255], "channel_def": {"0": "image"}}
    found: dict[str, Any] = {}
    for output in graph.graph.output:
        sides = [dimension.dim_value for dimension in output.type.tensor_type.shape.dim[1:]]
        one = {"dtype": "float32", "value_range": [], "num_channels": 1, "spatial_shape": [out, out]}
        match output.name:
            case "class":
                one |= {"type": "probabilities", "format": "logits", "num_channels": sides[0], "spatial_shape": []}
                one |= {"channel_def": places(run, sides[0])}
            case "features":
                one |= {"type": "features", "format": "vector", "num_channels": sides[0], "spatial_shape": []}
                one |= {"channel_def": {}}
            case name:
                one |= {"type": "probabilities", "format": "segmentation logits", "channel_def": {"0": name}}
        found[output.name] = one
    return {"inputs": {"image": image}, "outputs": found}


def places(run: Run, logits: int) -> dict[str, str]:
    """Place among the logits -> the labels that it stands for; a single logit is for the class of number 1."""
    found: dict[str, str] = {}
    for label, number in run.class_map.items():
        if logits > 1 or number == 1:
            key = str(number if logits > 1 else 0)
            found[key] = f"{found[key]} or {label}" if key in found else label
    return found


def card(metadata: Metadata) -> str:
    """The model card, as the hub reads it."""
    header = ModelCardData(
        language="en",
        license="other",
        license_name="mit-code-cc-by-sa-4.0-data",
        library_name="onnx",
        pipeline_tag="image-segmentation",
        tags=["chest-x-ray", "covid-19", "not-for-diagnosis", metadata.system.replace("_", "-")],
        model_name=metadata.name,
    )
    return card_text(header, "bundle.md", m=metadata, notice=NOTICE)
