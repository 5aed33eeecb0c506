"""Stands in for `python -m covidqu` in a copy of the tree: each step writes a hash of what it is given, in no time.

`source` and `ready` are the true ones. For tests of the engines' books (tests/campaigns/long_use.py).
"""

import hashlib
import json
import sys
from pathlib import Path

import yaml

from covidqu.files import write_text

FILES = {  # step -> files below --out; other steps write the file --out
    "pack": ["images.npy", "lung_masks.npy", "infection_masks.npy", "index.parquet"],
    "audit": ["duplicates.parquet", "duplicates.csv", "duplicates.png", "audit.json"],
    "train": ["last.safetensors", "history.csv", "card.json"],
    "score": ["scores.parquet", "metrics.json"],
    "baseline": ["scores.parquet", "card.json"],
    "page": ["index.html"],
}
SHOWN = ("unet-roi-lung", "unet-roi-infection")  # runs that tables show; all of one system
READ = ("source", "archive", "packed", "audit", "split", "roi", "init", "predictions")


def main(step: str, *words: str) -> None:
    options = {words[i].removeprefix("--"): Path(words[i + 1]) for i in range(len(words)) if words[i].startswith("--")}
    out = options["out"]
    names = [word for i, word in enumerate(words) if not word.startswith("--") and not words[i - 1].startswith("--")]
    settings = yaml.safe_load(Path("params.yaml").read_text())
    inputs = [options[name] for name in READ if name in options and name != step]
    inputs += [options["weights"]] if step in ("predict", "validate") else []
    if step in ("comparison", "cards", "page") or (names and names[0].startswith("unet-roi/")):  # as the rules have it
        inputs += [options["results"] / f"runs/{run}/scores.parquet" for run in settings["runs"] if run in SHOWN]
    found = hashlib.sha256(f"{step} {names}".encode())
    for name in names:
        found.update(json.dumps([settings[kind].get(name) for kind in ("runs", "baselines")]).encode())
    for path in inputs:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            found.update(file.read_bytes())
    outputs = [out / file for file in FILES.get(step, [])] or [out]
    if step in ("tables", "figures"):
        ends = {"tables": (".csv", ".md"), "figures": (".svg", ".png")}[step]
        outputs = [out / f"{name}{end}" for name in names for end in ends]
    if step == "cards":
        outputs = [*(out / f"runs/{run}/README.md" for run in settings["runs"]), out / "data-card.md"]
        outputs += [out / "croissant.json"]
    outputs += [options["sheet"]] if "sheet" in options else []
    outputs += [options["weights"]] if step == "train" else []
    for file in outputs:
        write_text(file, json.dumps({"hash": hashlib.sha256(f"{file} {found.hexdigest()}".encode()).hexdigest()}))


if __name__ == "__main__":
    if sys.argv[1] in ("source", "ready", "--params"):
        from covidqu.cli import main as true

        sys.exit(true())
    main(*sys.argv[1:])
