"""Step `crate`: the results as an RO-Crate, in the Process Run Crate profile of Workflow Run RO-Crate.

Input: a results folder. Output: `ro-crate-metadata.json` beside the results, or a whole copy of the crate in another
folder or a zip file. Each training is a `CreateAction` with its instrument, settings and files. A card holds how long a
training took, not when: actions have no start and end. Files that show patients and files that a step can make again
from those in the crate are left out.
"""

import json
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from covidqu.config.params import Params
from covidqu.files import replacing, sha256, write_text
from covidqu.stored import read_json

PROFILE, PROFILE_VERSION = "https://w3id.org/ro/wfrun/process", "0.6"
METADATA, RO_CRATE = "ro-crate-metadata.json", "1.3"
LEFT_OUT = {  # pattern below the results folder: why
    "*.png": "shows patients",
    "*/cam.npz": "shows patients",
    "report/*": "shows patients",
    "*/predictions.npz": "made again by `predict`",
    "resume/*": "state of unfinished trainings",
    "*/last.safetensors": "state of finished trainings",
    METADATA: "this description",
    ".*": "hidden",
    "*/.*": "hidden",
}
TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
}
LICENSE = "https://opensource.org/license/mit"


def crate(params: Params, results: Path, out: Path | None) -> None:
    """Describe `results`; in place without `out`, else copied into the folder or zip file `out`.

    ValueError for a folder without results, and for an `out` inside of it.
    """
    files = kept(results)
    if not files:
        raise ValueError(f"{results}: holds no results; run the pipeline first")
    if out is not None and out.resolve().is_relative_to(results.resolve()):
        raise ValueError(f"{out}: lies inside of {results}; leave --out away to describe the results where they are")
    described = describe(params, results, files)
    if out is None:
        write_text(results / METADATA, json.dumps(described.metadata.generate(), indent=2, sort_keys=True) + "\n")
    elif out.suffix == ".zip":
        with replacing(out) as part:
            described.write_zip(part)
    else:
        described.write(out)


def kept(results: Path) -> list[Path]:
    """Files of the crate, relative to `results`, sorted."""
    found = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    return sorted(p for p in found if not any(fnmatchcase(p.as_posix(), pattern) for pattern in LEFT_OUT))


def describe(params: Params, results: Path, files: list[Path]) -> ROCrate:
    """The crate in memory: every file with its SHA-256, one action per trained run."""
    found = ROCrate(version=RO_CRATE)
    title = f"{params.report.title}: " if params.report.title else ""
    left_out = "; ".join(f"{pattern} ({why})" for pattern, why in list(LEFT_OUT.items())[:6])
    found.name = f"{title}results of covidqu"
    found.description = f"Tables, figures, scores and cards. Not for diagnosis. Left out: {left_out}."
    found.license = LICENSE
    profile = ContextEntity(
        found, f"{PROFILE}/{PROFILE_VERSION}", {"@type": "CreativeWork", "name": "Process Run Crate"}
    )
    profile["version"] = PROFILE_VERSION
    found.add(profile)
    found.root_dataset["conformsTo"] = profile
    for path in files:
        about = {"name": path.as_posix(), "sha256": sha256(results / path)}
        about["contentSize"] = str((results / path).stat().st_size)
        if path.suffix in TYPES:
            about["encodingFormat"] = TYPES[path.suffix]
        found.add_file(results / path, path.as_posix(), properties=about)
    runs = [run for run in params.resolved if Path("runs", run, "card.json") in files]
    actions = [_training(found, results, run) for run in runs]
    if actions:
        found.root_dataset["mentions"] = actions
    return found


def _training(found: ROCrate, results: Path, run: str) -> ContextEntity:
    card = read_json(results / "runs" / run / "card.json", f"run `train {run}` again")
    names = [f"weights/{run}.safetensors", *(f"runs/{run}/{name}" for name in ("card.json", "history.csv"))]
    start = f"weights/{card['config']['init']}.safetensors"
    settings = _value(found, f"#settings-{run}", "settings", json.dumps(card["config"], sort_keys=True))
    data = _value(found, f"#data-{card.get('data_hash')}", "SHA-256 of the packed data", card.get("data_hash"))
    objects = [settings, data, *([found.get(start)] if found.get(start) else [])]
    action = found.add_action(
        _software(found, card),
        f"#train-{run}",
        object=objects,
        result=[found.get(name) for name in names if found.get(name)],
        properties={"name": f"training of {run}", "actionStatus": "http://schema.org/CompletedActionStatus"},
    )
    if card.get("seconds") is not None:
        action["description"] = (
            f"{card['epochs_run']} epochs, {card['seconds']} s on {card.get('devices', 1)} x {card.get('device')}"
        )
    return action


def _value(found: ROCrate, identifier: str, name: str, value: Any) -> ContextEntity:
    words = "not recorded" if value is None else value
    return found.get(identifier) or found.add(
        ContextEntity(found, identifier, {"@type": "PropertyValue", "name": name, "value": words})
    )


def _software(found: ROCrate, card: dict[str, Any]) -> ContextEntity:
    """This package at the card's commit, with the versions that it ran with; one entity per such combination."""
    versions, commit = card.get("versions", {}), card.get("git_commit") or "not recorded"
    requirements = [
        found.get(f"#{name}-{number}")
        or found.add(
            ContextEntity(
                found, f"#{name}-{number}", {"@type": "SoftwareApplication", "name": name, "softwareVersion": number}
            )
        )
        for name, number in versions.items()
    ]
    identifier = "-".join(["#covidqu", commit.replace(" ", "-"), *versions.values()])
    about = {"@type": "SoftwareApplication", "name": "covidqu", "softwareVersion": version("covidqu")}
    about["description"] = f"commit {commit}"
    software = found.get(identifier) or found.add(ContextEntity(found, identifier, about))
    if requirements:
        software["softwareRequirements"] = requirements
    return software
