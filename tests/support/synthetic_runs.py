"""Synthetic runs for tests of reports: scores, cards, histories, an index and an audit written to a folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covidqu.config.params import Params, check, merge, read
from covidqu.config.reading import kept
from covidqu.config.training import CLASS_MAPS
from covidqu.evaluate.scores import write_scores
from covidqu.report.core.cells import Cell, Table
from support.places import ROOT

LABELS = ["COVID-19"] * 12 + ["Non-COVID"] * 6 + ["Normal"] * 6
PX = 256 * 256


OPTIONAL = ROOT / "workflow/overlays/optional.yaml"


def settings(optional: bool = False, **changes: Any) -> Params:
    fast = {"evaluate": {"bootstrap": {"resamples": 200}}}
    files = [ROOT / "params.yaml", *([OPTIONAL] if optional else [])]
    return check(kept(merge(merge(read(files), fast), changes)))


def scores(tasks: tuple[str, ...], seed: int, classes: dict[str, int] | None = None, px: int = 256) -> pd.DataFrame:
    """24 test images in file order; three of them have false infection. `classes`: label -> class of the head."""
    rng = np.random.default_rng(seed)
    n = len(LABELS)
    frame = pd.DataFrame(
        {
            "row": np.arange(100, 100 + n),
            "id": [f"infection/Test/{label}/scored-{i}" for i, label in enumerate(LABELS)],
            "subset": "infection",
            "label": LABELS,
            "name": [str(i) for i in range(n)],
            "near_duplicate": [i in (0, 13) for i in range(n)],
            "n_px": PX,
            "lung_area_px": 15000,
        }
    )
    for task in (task for task in tasks if task in ("lung", "infection")):
        covid = np.array([label == "COVID-19" or task == "lung" for label in LABELS])
        tp = np.where(covid, rng.integers(3000, 6000, n), 0)
        fn = np.where(covid, rng.integers(100, 2000, n), 0)
        fp = np.where(covid | np.isin(np.arange(n), (12, 15, 18)), rng.integers(100, 2000, n), 0)
        frame[f"{task}_tp"], frame[f"{task}_fp"] = tp.astype("int32"), fp.astype("int32")
        frame[f"{task}_fn"], frame[f"{task}_tn"] = fn.astype("int32"), (PX - tp - fp - fn).astype("int32")
        frame[f"{task}_soft_intersection"] = tp * 0.9
        frame[f"{task}_soft_prediction"] = (tp + fp) * 0.95
        frame[f"{task}_bce"] = rng.uniform(0.05, 0.2, n)
        frame[f"{task}_hd95"] = np.where(covid, 5.0, np.nan)
        frame[f"{task}_nsd2"] = np.where(covid, 0.5, 1.0)
        if task == "infection":
            frame["infection_lesions"], frame["infection_lesions_found"] = np.where(covid, 2, 0), np.where(covid, 1, 0)
            frame["infection_lesions_false"] = np.where(covid, 0, fp > 0).astype("int32")
        if px != 256:
            for c in ("tp", "fp", "fn"):
                frame[f"{task}_{c}_at_{px}"] = (frame[f"{task}_{c}"] * (px / 256) ** 2).astype("int32")
            frame[f"{task}_tn_at_{px}"] = px * px - sum(frame[f"{task}_{c}_at_{px}"] for c in ("tp", "fp", "fn"))
            frame[f"{task}_mse_at_{px}"] = rng.uniform(0.01, 0.1, n)
            frame[f"{task}_ssim_at_{px}"] = rng.uniform(0.5, 1, n)
    if "class" in tasks:
        target = np.array([classes.get(label, -1) for label in LABELS])
        wide = 1 if set(classes.values()) == {0, 1} and len(classes) == 3 else len(set(classes.values()))
        logits = rng.normal(0, 1.5, (n, wide))
        if wide == 1:
            logits[:, 0] += 2 * target - 1
        else:
            logits[target >= 0, target[target >= 0]] += 1.5
        for k in range(wide):
            frame[f"class_logit_{k}"] = logits[:, k].astype("float32")
        frame["class_target"] = target.astype("int32")
    if "reconstruction" in tasks:
        frame["reconstruction_mse"], frame["reconstruction_ssim"] = rng.uniform(1e-4, 1e-2, n), rng.uniform(0.8, 1, n)
    return frame


def scores_of(params: Params, run: str) -> pd.DataFrame:
    config = params.run(run)
    return scores(config.tasks, len(run) + 7 * config.seed, config.class_map, config.evaluate_px)


def write_explained(results: Path, params: Params, run: str) -> None:
    found, rng = scores_of(params, run), np.random.default_rng(5)
    frame = found[["row", "id", "label", "name"]].copy()
    frame["cam_lung_share"], frame["cam_infection_share"] = 0.5, 0.2
    if params.run(run).model.system == "swin_dual":
        for end, spread in (("hard", 1.0), ("annotated", 4.0)):
            for k in range(3):
                frame[f"class_logit_{k}_{end}"] = found[f"class_logit_{k}"] + rng.normal(0, spread, len(found))
    frame.sample(frac=1, random_state=0).to_parquet(results / "runs" / run / "explain.parquet")


def write_architectures(results: Path, params: Params) -> None:
    names = ("encoder", "pyramid pooling", "dual decoders", "lung head", "infection head", "classification head")
    counts = (27522474, 1772544, 14771888, 10441, 10441, 2179)
    parts = [{"name": name, "parameters": count} for name, count in zip(names, counts, strict=True)]
    whole = {"parameters": sum(counts), "input": [1, 1, 256, 256], "parts": parts, "layers": []}
    found = {
        run: {"net": "a net", "parameters": 7, "input": [1, 1, 64, 64], "paper": whole} for run in params.base_runs
    }
    (results / "architectures.json").write_text(json.dumps(found))


def write_cost(results: Path, params: Params) -> None:
    """A network more expensive than the one before it, ten images a second in training, a hundred in use."""

    def speed(rate: float) -> dict[str, Any]:
        settings = {"batch": 8, "precision": "32-true", "device": "a CPU", "threads": 1, "measured_as": "unetpp-b3"}
        return {"images_per_s": rate, **settings}

    found = {}
    for place, run in enumerate(params.base_runs):
        config, once = params.run(run), (place + 1) * 10**9
        deployed = once * (2 if config.flip_test else 1)
        counts = {"parameters": 7, "flops_forward": once, "flops_deployed": deployed, "flops_training": 3 * once}
        found[run] = counts | {"inference": speed(100.0), "training": speed(10.0) if config.epochs else None}
    (results / "cost.json").write_text(json.dumps({"versions": {}, "runs": found}))


def write_run(results: Path, params: Params, run: str, changes: dict[str, Any]) -> None:
    folder = results / "runs" / run
    folder.mkdir(parents=True)
    config = params.run(run).model_dump(mode="json") | changes
    meta = {"run": run, "weights_sha256": "0" * 64, "data_hash": "1" * 64, "tasks": list(params.run(run).tasks)}
    meta |= {key: config[key] for key in ("roi", "subset", "split")}
    write_scores(folder / "scores.parquet", scores_of(params, run), meta)
    card = {"run": run, "config": config, "train_images": 60, "val_images": 20, "epochs_run": 3, "best_epoch": 2}
    card |= {"seconds": 90.0}
    (folder / "card.json").write_text(json.dumps(card))
    history = pd.DataFrame({"epoch": [1, 2, 3], "lr": [3e-4, 2e-4, 1e-6], "train_loss": [1.0, 0.8, 0.7]})
    history["val_loss"], history["best"] = [1.1, 0.9, 0.95], [0, 1, 0]
    for task in params.run(run).masks:
        history[f"train_{task}_dice"], history[f"val_{task}_dice"] = [0.3, 0.5, 0.55], [0.2, 0.45, 0.44]
    history.to_csv(folder / "history.csv", index=False)


def write_baselines(results: Path, params: Params) -> None:
    """Scores of every reference point, as the step `baseline` names their columns."""
    for seed, (name, config) in enumerate(params.baselines.items()):
        if config.gives == "infection":
            frame = scores(("infection",), seed, px=224).assign(infection_bce=np.nan)
        else:
            frame = scores(("class",), seed, CLASS_MAPS["three"])
            for label_map in ("covid_vs_normal", "covid_vs_rest"):
                known = CLASS_MAPS[label_map]
                right = [2 * known[label] - 1 if label in known else 0 for label in LABELS]
                frame[f"class_logit_0_{label_map}"] = frame["class_logit_0"] + np.array(right, np.float32)
        (results / "baselines" / name).mkdir(parents=True)
        frame.to_parquet(results / "baselines" / name / "scores.parquet")


def write_data(data: Path, subsets: tuple[str, ...]) -> None:
    rows = []
    for subset in subsets:
        for split, times in (("Train", 3), ("Val", 1), ("Test", 2)):
            for label in ("COVID-19", "COVID-19", "Non-COVID", "Normal"):
                for i in range(times):
                    infected = 6000 + 1000 * i if subset == "infection" and label == "COVID-19" else 0
                    rows.append((f"{subset}/{split}/{label}/{len(rows)}", subset, split, label, 15000, infected))
    index = pd.DataFrame(rows, columns=["id", "subset", "split", "label", "lung_px", "infection_px"])
    index = index.astype({"lung_px": "int32", "infection_px": "int32"})
    index = index.assign(name=index["id"].str.rsplit("/").str[-1], image_sha256="", masks_sha256="", phash="")
    (data / "packed").mkdir(parents=True)
    (data / "audit").mkdir()
    index.to_parquet(data / "packed" / "index.parquet")
    np.save(data / "packed" / "images.npy", np.zeros((len(index), 256, 256), np.uint8))
    for task, part in (("lung", index), ("infection", index[index["subset"] == "infection"])):
        first = np.arange(PX) < part[f"{task}_px"].to_numpy()[:, None]  # the first pixels of the image
        np.save(data / "packed" / f"{task}_masks.npy", np.packbits(first, axis=1))
    splits = pd.DataFrame({"row": index.index, "near_duplicate": (index["split"] == "Test") & (index.index % 2 == 0)})
    splits.to_parquet(data / "split.parquet")
    pairs = {"a": [0, 0], "b": [1, 16], "split_a": ["Train", "Train"], "split_b": ["Train", "Test"]}
    pairs |= {"exact": [False, True], "across_splits": [False, True], "mirrored": [True, False]}
    pairs |= {"aligned_correlation": [0.95, 1.0], "lung_dice": [1.0, 1.0], "infection_dice": [12 / 13, 1.0]}
    pairs |= {f"id_{side}": index["id"].to_numpy()[pairs[side]] for side in "ab"}
    both = {"subset_a": "infection", "subset_b": "infection", "label_conflict": False}
    pd.DataFrame(pairs).assign(**both).to_parquet(data / "audit" / "duplicates.parquet")
    counts = {"infection": {"Train": {"Normal": 3}}}
    facts = {"counts": counts, "expected_counts": {"infection": {"Train": {"Normal": 932}}}, "counts_agree": False}
    facts |= {"limits": ["words"], "infection_outside_lung": 0.0}
    (data / "audit" / "audit.json").write_text(json.dumps(facts))


def cell(built: Table, row: str, column: str) -> Cell:
    """The one cell at this place."""
    (found,) = [c for c in built.cells if (c.row, c.column) == (row, column)]
    return found
