"""A small case explorer for tests: phantom images, runs with made-up predictions scored by the real step, one page."""

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from covidqu.config.data import Phantom
from covidqu.config.params import Params
from covidqu.data.index import open_packed, unpack_mask
from covidqu.evaluate.scores import score
from covidqu.ingest.pack import pack
from covidqu.ingest.sources.phantom import write as write_phantom
from covidqu.page import cases, pages, site
from covidqu.report.core.sources import Sources
from support.synthetic_runs import settings

RUNS = ("swin-dual-infection", "recon-mtl-t123", "unetpp-b3")
FEW = {"Train": (2, 1, 1), "Val": (1, 1, 1)}
MISSED = 1  # place of the infected image that stays blank, as three of the others do


def build(folder: Path) -> Params:
    """Packed data, split, duplicates and three scored runs under `folder`; the last run keeps no predictions."""
    params = settings()
    sizes = Phantom(seed=3, infection=FEW | {"Test": (9, 4, 4)}, lung=FEW | {"Test": (1, 1, 1)})
    write_phantom(folder / "phantom.zip", sizes)
    pack(folder / "phantom.zip", folder / "data" / "packed")
    data = open_packed(folder / "data" / "packed")
    index, rows = data.index, test_rows(data.index)
    near = np.isin(np.arange(len(index)), rows[[0, 10]])
    splits = pd.DataFrame({"row": np.arange(len(index)), "official": index["split"], "near_duplicate": near})
    splits.to_parquet(folder / "data" / "split.parquet")
    _duplicates(folder / "data" / "audit", index["id"][0], index["id"][rows[0]])
    for seed, run in enumerate(RUNS):
        out = folder / "results" / "runs" / run
        out.mkdir(parents=True)
        _predictions(out / "predictions.npz", params, run, seed, rows)
        places = [folder / "data" / "packed", folder / "data" / "split.parquet", out / "predictions.npz", out]
        score(run, *places, params.evaluate)
        card = {"config": params.run(run).model_dump(mode="json"), "train_images": 3, "val_images": 1}
        card |= {"epochs_run": 3, "best_epoch": 2}
        (out / "card.json").write_text(json.dumps(card))
    (folder / "results" / "runs" / RUNS[2] / "predictions.npz").unlink()
    maps = np.zeros((len(rows), 2, 2), np.float16)
    maps[:, 0, 1] = 1
    np.savez(folder / "results" / "runs" / RUNS[0] / "cam.npz", meta="{}", row=rows.astype(np.int32), cam=maps)
    return params


def test_rows(index: pd.DataFrame) -> np.ndarray:
    return np.flatnonzero((index["subset"] == "infection") & (index["split"] == "Test"))


test_rows.__test__ = False


def _duplicates(folder: Path, earlier: str, test: str) -> None:
    folder.mkdir()
    pair = {"id_a": earlier, "id_b": test, "split_a": "Train", "split_b": "Test", "aligned_correlation": 0.9951}
    frame = pd.DataFrame([pair | {"exact": False, "across_splits": True}])
    frame.to_parquet(folder / "duplicates.parquet")


def _predictions(path: Path, params: Params, run: str, seed: int, rows: np.ndarray) -> None:
    """Annotations moved and roughened; images without annotated infection get blobs."""
    data, config = open_packed(path.parents[3] / "data" / "packed"), params.run(run)
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {"row": rows.astype(np.int32)}
    for task in config.masks:
        bits = (data.lung_masks if task == "lung" else data.infection_masks)[rows]
        logits = np.stack([_rough(rng, mask, 3 + 5 * seed) for mask in unpack_mask(bits)])
        others = np.flatnonzero(~unpack_mask(bits).any((1, 2)))
        if len(others):
            logits[[*others[:5], MISSED]] = -5
            logits[others[3], 100:130, 90:120] = 4  # 900 false pixels, 1.4 % of the image
            logits[others[4], 100:120, 90:110] = 4  # 400, 0.6 %
        arrays[f"{task}_logits"] = logits
    labels = data.index["label"].to_numpy()[rows]
    if "class" in config.tasks:
        width = max(config.class_map.values()) + 1
        wide = rng.normal(0, 2, (len(rows), width if width > 2 else 1)).astype(np.float32)
        wide[labels == "COVID-19", -1] += 2
        arrays["class_logits"] = wide
    if "reconstruction" in config.tasks:
        arrays["reconstruction"] = (data.images[rows] / 255).astype(np.float16)
    meta = {"run": run, "weights_sha256": "0", "data_hash": data.data_hash, "roi": config.roi, "subset": "infection"}
    meta |= {"split": "official", "tasks": list(config.tasks), "classes": config.class_map}
    np.savez(path, meta=np.array(json.dumps(meta)), **arrays)


def _rough(rng: np.random.Generator, mask: np.ndarray, shift: int) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.normal(0, 1, mask.shape), (0, 0), 9)
    moved = np.roll(mask, (shift, shift), (0, 1))
    return (np.where(moved, 2.0, -2.0) + 1.3 * noise / noise.std()).astype(np.float16)


def render(params: Params, folder: Path, out: Path) -> Path:
    """The page alone, with its assets; `folder` holds data and results."""
    found = cases.write(Sources(params, folder / "data", folder / "results"), out)
    shared = {"page": pages.CASES, "pages": pages.pages(), "reduced": "", "reader": ""}
    (out / "assets").mkdir(parents=True)
    for asset in (Path(cases.__file__).parent / "assets").iterdir():
        if asset.is_file():
            (out / "assets" / asset.name).write_bytes(asset.read_bytes())
    text = site._environment().get_template("cases.html").render(**shared, **found)
    (out / "cases.html").write_text(text, encoding="utf-8")
    return out / "cases.html"


def content(out: Path, name: str) -> Any:
    """What one script of the page hands over."""
    text = (out / "cases" / f"{name}.js").read_text()
    found = re.fullmatch(rf'covidquCase\("{re.escape(name)}",(.*)\);\n', text, re.DOTALL)
    assert found, text[:80]
    return json.loads(found.group(1))
