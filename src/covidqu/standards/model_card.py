"""Model card of one run, for the folder that holds its scores (format: Mitchell et al. 2019, as the hub reads it).

Input: the run's card, its scores, the parameters and, where there are any, architectures.json. Output: Markdown with
a YAML block. Data and weights are not read: a clone without them gives the same text.
"""

import hashlib
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from covidqu.evaluate.scores import SCORES, read_scores
from covidqu.report import catalogue
from covidqu.report.core.provenance import fixed, provenance
from covidqu.report.core.published import SYSTEMS, paper
from covidqu.report.core.runs import lineage
from covidqu.report.core.sources import Sources
from covidqu.report.core.titles import deviation_texts
from covidqu.standards.evaluation import beside, dataset, eval_results, results
from covidqu.standards.rendering import card_text

UNKNOWN = "not recorded"
OTHER_MODALITY = ("cbam-mtl", "recon-mtl")  # systems whose papers print results on CT
OPTIONAL = (  # keys that cards of early versions lack
    *("git_commit", "params_hash", "data_hash", "initial_weights", "train_images", "val_images", "parameters"),
    *("device", "devices", "epochs_run", "best_epoch", "seconds", "versions"),
)
FACTS = {  # provenance: label -> key of card.json
    "commit of the code": "git_commit",
    "SHA-256 of the run's configuration": "params_hash",
    "SHA-256 of the data (ids, pixels, masks)": "data_hash",
    "device": "device",
    "number of devices": "devices",
}


def model_card(sources: Sources, run: str, files: list[Path]) -> str:
    """The card's text; ValueError when the run has no card.json.

    `files`: the parameter files, for the command that makes the run again.
    """
    if not sources.has_card(run):
        raise ValueError(f"{sources.folder(run) / 'card.json'}: no such file; train the run '{run}' first")
    params, card, config = sources.params, dict.fromkeys(OPTIONAL) | sources.card(run), sources.params.run(run)
    found, system = results(sources, run), config.model.system.replace("_", "-")
    reduced = deviation_texts(sources, lineage(params, [run]))
    return card_text(
        _header(sources, run, system, found, bool(reduced)),
        "model_card.md",
        run=run,
        title=params.report.title,
        reduced=reduced,
        system=system,
        paper=paper(system) if system in SYSTEMS else None,
        other_modality=system in OTHER_MODALITY,
        architecture=(sources.architectures or {}).get(params.base(run)),
        dataset=dataset(params),
        phantom=params.download.source == "phantom",
        config=config,
        card=card,
        unknown=UNKNOWN,
        settings=provenance(params, run, sources.card(run)["config"]),
        fixed=fixed(system),
        parents=[name for name in lineage(params, [run]) if name != run],
        repetitions=[name for name in params.seeds(params.base(run)) if name != run],
        results=found,
        references=beside(sources, run),
        confidence=round(100 * params.evaluate.bootstrap.confidence),
        resamples=params.evaluate.bootstrap.resamples,
        facts=facts(card) | hashes(sources, run),
        command=command(sources, run, files),
        shown=shown(sources, run, system),
    )


def _header(sources: Sources, run: str, system: str, found: dict[str, Any], reduced: bool) -> ModelCardData:
    """The YAML block. The hub asks for one licence: weights are made by this code from data under another."""
    masks, params = sources.params.run(run).masks, sources.params
    return ModelCardData(
        language="en",
        license="other",
        license_name="mit-code-cc-by-sa-4.0-data",
        library_name="pytorch",
        pipeline_tag="image-segmentation" if masks else "image-classification",
        tags=["chest-x-ray", "covid-19", "not-for-diagnosis", system, *(["reduced-run"] if reduced else [])],
        model_name=f"{run}{' (reduced)' if reduced else ''}",
        eval_results=eval_results(found, params, run) or None,
    )


def facts(card: dict[str, Any]) -> dict[str, Any]:
    """Provenance as far as the card has it."""
    return {label: UNKNOWN if card[key] is None else card[key] for label, key in FACTS.items()}


def hashes(sources: Sources, run: str) -> dict[str, str]:
    """What the command must give again: label -> SHA-256 of the weights, and of the scores' rows as CSV."""
    if sources.why_no_run(run):
        return {}
    scores, meta = read_scores(sources.folder(run) / SCORES)
    rows = hashlib.sha256(scores.to_csv(index=False, lineterminator="\n").encode()).hexdigest()
    return {"SHA-256 of the weights": meta["weights_sha256"], "SHA-256 of the scores (rows as CSV)": rows}


def command(sources: Sources, run: str, files: list[Path]) -> str:
    """The command line that makes the run and its scores again, from the root of a clone."""
    overlays = [file.name if file.is_absolute() else file.as_posix() for file in files[1:]]
    download = sources.params.download
    local = download.source in ("directory", "zip") and getattr(download, download.source).path is None
    words = ["COVIDQU_DATA=FOLDER"] if local else []
    words += ["uv run snakemake", f"{sources.params.paths.results}/runs/{run}/scores.parquet", "--cores all"]
    return " ".join([*words, *(["--configfile", *overlays] if overlays else [])])


def shown(sources: Sources, run: str, system: str) -> dict[str, str]:
    """Name -> link, relative to the run's folder, of the tables and vector figures that rest on the run."""
    params, found = sources.params, {}
    for name, table in catalogue.tables(params).items():
        if table.group in (system, "common", "audit") and run in table.behind(params):
            found[name] = f"../../tables/{name}.md"
    for name, figure in catalogue.figures(params).items():
        if figure.kind == "svg" and figure.group == system and run in figure.behind(params):
            found[name] = f"../../figures/{name}.svg"
    return found
