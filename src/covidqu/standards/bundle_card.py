"""What a bundle says of itself: what its run is, what it is for and what not, in `metadata.json` and as a model card.

Input: settings, shapes of the outputs, numbers of the run; output: the keys of `reading.bundle.Metadata` that need no
network, and the card's text as the hub reads it.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from covidqu.config.params import Params
from covidqu.config.training import Run
from covidqu.evaluate.scores import METRICS
from covidqu.reading.bundle import NOTICE, Metadata
from covidqu.standards.rendering import card_text
from covidqu.stored import read_json

INTENDED = (
    "To study methods: what a network marks on a frontal chest X-ray, how far seeds agree, and how far it is "
    "from other readings. Not for diagnosis, not for triage, not for any decision about a patient."
)
LIMITS = (
    "Learnt from one public data set of frontal views: other projections, devices and diseases are not in it. Ages are "
    "not recorded; some of its Normal and other pneumonia images are plainly of small children.",
    "COVID-19, Non-COVID and Normal images come from different collections: a class can be that of the collection.",
    "Masks were drawn with the help of networks, one annotation per image; two annotations of one radiograph agree at "
    "a Dice of about 0.90.",
    "There are no patient identifiers: one patient may be in Train and in Test. No external test, no reader study.",
)
OF_PHANTOMS = "Learnt from synthetic phantoms: its outputs mean nothing."
UNTESTED = "Made without the training data: no limits for warnings but those that need none, no temperature."
SCORES = {  # measure -> where metrics.json has it
    "infection Dice, COVID-19 images": ("infection", "img_covid_dice"),
    "share of Normal images with more than 1 % marked": ("infection", "fp_normal_over_1_percent"),
    "share of other pneumonia images with more than 1 % marked": ("infection", "fp_pneumonia_over_1_percent"),
    "lung Dice": ("lung", "img_covid_dice"),
    "accuracy of the classes": ("class", "accuracy"),
}
DATA_SET = {
    "name": "COVID-QU-Ex",
    "licence": "CC BY-SA 4.0",
    "citation": "Tahir et al. (2021), doi 10.1016/j.compbiomed.2021.105002",
}
PHANTOMS = {"name": "synthetic phantoms", "licence": "MIT", "citation": "covidqu"}


def described(base: str, run: Run, params: Params, seeds: int, channels: dict[str, int]) -> dict[str, Any]:
    """Keys of the metadata that follow from the settings; `channels`: output -> its second axis, 1 of a mask."""
    phantom = params.download.source == "phantom"
    names = " and ".join(name for name in channels if name != "features")
    return {
        "name": base,
        "version": version("covidqu"),
        "covidqu_version": version("covidqu"),
        "task": f"{names} of a frontal chest X-ray",
        "description": f"Run `{base}` of system `{run.model.system}`, {seeds} training{'s' if seeds > 1 else ''}.",
        "authors": "The covidqu maintainers",
        "copyright": "MIT (code)" + ("" if phantom else "; learnt from data under CC BY-SA 4.0"),
        "intended_use": INTENDED,
        "limits": [*([OF_PHANTOMS] if phantom else []), *LIMITS],
        "run": base,
        "system": run.model.system,
        "image_px": run.image_px,
        "output_px": run.evaluate_px,
        "filters": [step.model_dump() for step in run.filters],
        "roi": run.roi,
        "normalise": run.normalise,
        "flip_test": run.flip_test,
        "outputs": list(channels),
        "classes": run.class_map,
        "network_data_format": formats(run, channels),
        "training_data": PHANTOMS if phantom else DATA_SET,
    }


def formats(run: Run, channels: dict[str, int]) -> dict[str, Any]:
    """Inputs and outputs in the words of MONAI."""
    grey = {"type": "image", "format": "grayscale", "modality": "CR", "num_channels": 1, "dtype": "uint8"}
    grey |= {"spatial_shape": [run.image_px] * 2, "value_range": [0, 255], "channel_def": {"0": "image"}}
    found: dict[str, Any] = {}
    for name, number in channels.items():
        one = {"num_channels": number, "dtype": "float32", "value_range": [], "spatial_shape": []}
        match name:
            case "class":
                one |= {"type": "probabilities", "format": "logits", "channel_def": places(run, number)}
            case "features":
                one |= {"type": "features", "format": "vector", "channel_def": {}}
            case _:
                one |= {"type": "probabilities", "format": "segmentation logits", "channel_def": {"0": name}}
                one |= {"spatial_shape": [run.evaluate_px] * 2}
        found[name] = one
    return {"inputs": {"image": grey}, "outputs": found}


def places(run: Run, logits: int) -> dict[str, str]:
    """Place among the logits -> the labels that it stands for; a single logit is for the class of number 1."""
    found: dict[str, str] = {}
    for label, number in run.class_map.items():
        if logits > 1 or number == 1:
            key = str(number if logits > 1 else 0)
            found[key] = f"{found[key]} or {label}" if key in found else label
    return found


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


def card(metadata: Metadata) -> str:
    """The model card: a YAML block, then Markdown."""
    header = ModelCardData(
        language="en",
        license="other",
        license_name="mit-code-cc-by-sa-4.0-data",
        library_name="onnx",
        pipeline_tag="image-segmentation" if {"lung", "infection"} & {*metadata.outputs} else "image-classification",
        tags=["chest-x-ray", "covid-19", "not-for-diagnosis", metadata.system.replace("_", "-")],
        model_name=metadata.name,
    )
    return card_text(header, "bundle.md", m=metadata, notice=NOTICE)
