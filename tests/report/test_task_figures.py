"""Figures of class heads, reconstruction and Grad-CAM: drawn from synthetic results on the phantom, numbers checked."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from covidqu.config.data import PX
from covidqu.config.params import Params, load
from covidqu.data.index import Packed, open_packed, unpack_mask
from covidqu.report.catalogue import ARTEFACTS, figures
from covidqu.report.core.artefacts import Figure as Entry
from covidqu.report.core.artefacts import Reads, Wanted
from covidqu.report.core.sources import Sources
from covidqu.report.drawing import cam_panels, mask_panels, predicted
from covidqu.report.drawing.classification_figures import class_names, confusion_matrix, roc
from covidqu.report.drawing.curve_figures import curves
from covidqu.report.drawing.panels import lung_cases
from covidqu.report.figures import figure
from support.places import ROOT

SYSTEMS = ("swin-dual", "cbam-mtl", "recon-mtl")
ENTRIES = {one.name: one for one in ARTEFACTS if isinstance(one, Entry) and one.group in SYSTEMS}
NAMES = [name for name, one in ENTRIES.items() if Reads.ARCHITECTURES not in one.reads]
RUNS = sorted({run for name in NAMES for run in ENTRIES[name].runs})
LOGITS = {"swin_dual": 3, "cbam_mtl": 2, "recon_mtl": 1}


@pytest.fixture(scope="module")
def params() -> Params:
    raw = load([ROOT / "params.yaml"])
    few = raw.evaluate.bootstrap.model_copy(update={"resamples": 200})
    return raw.model_copy(update={"evaluate": raw.evaluate.model_copy(update={"bootstrap": few})})


@pytest.fixture
def sources(tmp_path: Path, packed: Path, params: Params) -> Sources:
    """Results of every run of these figures: masks moved by eight pixels, classes right but for the first COVID-19."""
    data, results = tmp_path / "data", tmp_path / "results"
    data.mkdir()
    (data / "packed").symlink_to(packed)
    for run in RUNS:
        write_run(params, open_packed(packed), run, results / "runs" / run)
    return Sources(params, data, results)


def write_run(params: Params, packed: Packed, run: str, folder: Path) -> None:
    config, index = params.run(run), packed.index
    folder.mkdir(parents=True)
    rows = np.flatnonzero((index["split"] == "Test") & (index["subset"] == config.subset))
    labels = index["label"].to_numpy()[rows]
    arrays: dict[str, np.ndarray] = {"row": rows.astype(np.int32)}
    scores = pd.DataFrame({"row": rows, "id": index["id"].to_numpy()[rows], "label": labels, "near_duplicate": False})
    for task in config.masks:
        side = ((np.arange(config.evaluate_px) + 0.5) * PX / config.evaluate_px).astype(int)
        truth = unpack_mask((packed.lung_masks if task == "lung" else packed.infection_masks)[rows])
        moved = np.ascontiguousarray(np.roll(truth, 8, axis=1)[:, side][:, :, side])
        arrays[f"{task}_logits"] = np.where(moved, 3, -3).astype(np.float16)
    if config.class_map:
        target = np.array([config.class_map.get(label, -1) for label in labels])
        said = np.maximum(target, 0)
        said[0] = 0  # COVID-19 taken for Normal
        width = LOGITS[config.model.system]
        logits = np.where(said == 1, 2.0, -2.0)[:, None] if width == 1 else 2.0 * np.eye(width)[said]
        arrays["class_logits"] = logits.astype(np.float32)
        scores = scores.assign(**{f"class_logit_{k}": logits[:, k] for k in range(width)}, class_target=target)
    if "reconstruction" in config.tasks:
        arrays["reconstruction"] = (packed.images[rows] / 255 + 0.1).astype(np.float16)
    meta = {"run": run, "weights_sha256": "", "data_hash": "", "roi": "whole", "subset": config.subset}
    meta |= {"split": "official", "tasks": list(config.tasks), "px": config.evaluate_px, "classes": config.class_map}
    np.savez(folder / "predictions.npz", meta=np.array(json.dumps(meta)), **arrays)
    if "class" in config.tasks and "infection" not in config.tasks:
        scores.to_parquet(folder / "scores.parquet")
    else:  # the counts that the caption of a panel reads
        zero = np.zeros(len(rows), int)
        counts = {f"infection_{c}": zero for c in ("tp", "fp", "fn", "soft_intersection", "soft_prediction")}
        counts["infection_fn"] = 9 * (labels == "COVID-19")
        counts |= {"infection_tn": PX**2 - counts["infection_fn"], "n_px": zero + PX**2, "lung_area_px": zero + 1}
        scores.assign(**counts).to_parquet(folder / "scores.parquet")
    card = {"config": config.model_dump(mode="json"), "train_images": 1, "val_images": 1}
    card |= {"epochs_run": 3, "best_epoch": 2}
    card["config"]["epochs"] = 3
    (folder / "card.json").write_text(json.dumps(card))
    write_history(params, run, folder)
    if run in params.explain:
        maps = np.zeros((len(rows), 4, 4), np.float16)
        maps[:, 1, 1] = 1
        np.savez(folder / "cam.npz", row=rows, cam=maps)
        covid = labels == "COVID-19"
        shares = {"cam_lung_share": 0.25, "cam_infection_share": np.where(covid, 0.125, np.nan)}
        scores[["row", "id", "label"]].assign(**shares).to_parquet(folder / "explain.parquet")


def write_history(params: Params, run: str, folder: Path) -> None:
    config = params.run(run)
    columns = ["loss", *(f"{task}_dice" for task in config.masks)]
    columns += ["class_accuracy"] if "class" in config.tasks else []
    columns += ["reconstruction_mse"] if "reconstruction" in config.tasks else []
    frame = pd.DataFrame({"epoch": [1, 2, 3], "best": [1, 1, 0]})
    frame = frame.assign(**{f"{part}_{c}": [0.5, 0.25, 0.125] for part in ("train", "val") for c in columns})
    frame.to_csv(folder / "history.csv", index=False)


def words(drawn: Figure) -> str:
    """Everything that is written on a figure."""
    found = [drawn.get_suptitle(), drawn.get_supxlabel()]
    found += [text.get_text() for legend in drawn.legends for text in legend.get_texts()]
    for axes in drawn.axes:
        found += [axes.get_title(), axes.get_ylabel(), *(text.get_text() for text in axes.texts)]
        found += [text.get_text() for text in (axes.get_legend().get_texts() if axes.get_legend() else [])]
    return " ".join(" ".join(found).split())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_bytes_twice(name: str, sources: Sources, tmp_path: Path) -> None:
    kind = figures(sources.params)[name].kind
    for part in ("a", "b"):
        figure(sources, name, tmp_path / part / f"f.{kind}")
    assert (tmp_path / f"a/f.{kind}").read_bytes() == (tmp_path / f"b/f.{kind}").read_bytes()
    assert kind == "svg" or imread(tmp_path / f"a/f.{kind}").std() > 0.05


def test_a_figure_says_that_runs_were_reduced_and_its_file_says_how(sources: Sources, tmp_path: Path) -> None:
    figure(sources, "swin-dual/figure-8", tmp_path / "f.svg")
    drawn = (tmp_path / "f.svg").read_text()
    title = next(part for part in drawn.split("<!--")[1:] if "figure 8" in part)
    assert "REDUCED OR CHANGED RUNS - Paper 000" in title and "epochs" not in title
    assert "REDUCED RUN (epochs 3 instead of 30)" in drawn.split("<dc:description>")[1].split("</dc:description>")[0]


def test_confusion_shows_own_counts(sources: Sources) -> None:
    three = words(confusion_matrix(sources, Wanted(["swin-dual-infection"], "c")))
    assert "3 75.0% of row" in three and "1 25.0% of row" in three and "2 100.0% of row" in three
    assert "n = 8 official Test images" in three
    assert "Non-COVID against the rest: AUC 1.000" in three
    two = words(confusion_matrix(sources, Wanted(["cbam-mtl-unet-proposed"], "c")))
    assert "n = 6 official" in two and "(seed 0)" in two  # Non-COVID is no class of this head
    assert "COVID-19 against Normal: AUC 0.875 (too few images for an interval)" in two


def test_confusion_has_the_truth_in_rows(sources: Sources) -> None:
    left = confusion_matrix(sources, Wanted(["cbam-mtl-unet-proposed"], "c")).axes[0]
    cells = {tuple(round(float(v)) for v in text.get_position()): text.get_text() for text in left.texts}
    assert cells[0, 1].startswith("1\n") and cells[1, 0].startswith("0\n")  # (column, row): COVID-19 taken for Normal
    assert [t.get_text() for t in left.get_yticklabels()] == ["Normal\n(n = 2)", "COVID-19\n(n = 4)"]


def test_class_names_join_labels(sources: Sources) -> None:
    assert class_names(sources, "recon-mtl-t123") == ["Normal or Non-COVID", "COVID-19"]
    assert class_names(sources, "swin-dual-lung") == ["Normal", "Non-COVID", "COVID-19"]


def test_roc_has_a_curve_for_each_run(sources: Sources) -> None:
    runs = list(ENTRIES["recon-mtl/figure-5"].runs)
    drawn = roc(sources, Wanted(runs, "c"))
    assert len(runs) == 4 and len(drawn.axes[0].lines) == 5  # and the diagonal
    for run in runs:
        assert f"{run}: AUC 0.875 [" in words(drawn)


def test_one_class_has_no_curve(sources: Sources) -> None:
    path = sources.folder("recon-mtl-t13") / "scores.parquet"
    pd.read_parquet(path).assign(class_target=1).to_parquet(path)
    assert "images of one class only" in words(roc(sources, Wanted(["recon-mtl-t13"], "c")))


def test_curves_show_every_task(sources: Sources) -> None:
    labels = [axes.get_ylabel() for axes in curves(sources, Wanted(["recon-mtl-t123"], "")).axes]
    assert [label.split()[0] for label in labels] == ["loss", "mean", "accuracy", "mean"]
    both = words(curves(sources, Wanted(["swin-dual-infection"], "")))
    assert "lung, validation" in both and "infection, training" in both and "augmented" not in both
    assert len(curves(sources, Wanted(["recon-mtl-cnn8"], "")).axes) == 2
    path = sources.folder("recon-mtl-cnn8") / "history.csv"
    pd.read_csv(path).drop(columns="val_class_accuracy").to_csv(path, index=False)
    with pytest.raises(ValueError, match="no column val_class_accuracy"):
        curves(sources, Wanted(["recon-mtl-cnn8"], ""))


def test_panels_name_true_and_predicted_class(sources: Sources) -> None:
    found = words(mask_panels.lungs_and_classes(sources, Wanted(["swin-dual-infection"], "c")))
    for wanted in ("true class: COVID-19", "true class: Normal", "true class: Non-COVID"):
        assert wanted in found
    assert "predicted class: Non-COVID (0.79)" in found and "infection hidden by the class" in found
    marked = (
        "Test images with a positive pixel / more than 1 % positive, Normal (n = 2): swin-dual-infection 0.0% / 0.0%"
    )
    assert "never by score" in found and f"{marked}; other pneumonia" in found
    phase_1 = mask_panels.lungs_and_classes(sources, Wanted(["swin-dual-lung"], "c"))
    assert len(phase_1.axes) == 8 and "infection" not in words(phase_1)


def test_stages_show_the_filtered_image_and_three_runs(sources: Sources) -> None:
    runs = list(ENTRIES["cbam-mtl/figure-3"].runs)
    drawn = mask_panels.stages(sources, Wanted(runs, "c"))
    assert len(drawn.axes) == 4 * 6
    assert all(run in words(drawn) for run in runs) and "median 3 x 3, opening 3 x 3" in words(drawn)
    image, filtered = (np.asarray(axes.images[0].get_array()) for axes in drawn.axes[:2])
    assert image.shape == filtered.shape and (image != filtered).any()


def test_reconstruction_stands_beside_its_error(sources: Sources) -> None:
    drawn = mask_panels.overlays(sources, Wanted(["recon-mtl-t123", "recon-mtl-unet"], "c"))
    assert len(drawn.axes) == 4 * 5
    image, found = (np.asarray(axes.images[0].get_array(), float) for axes in (drawn.axes[0], drawn.axes[4]))
    error = float(((found - image) ** 2).mean() / 255**2)
    assert f"MSE {error:.5f}" in words(drawn) and 0.005 < error <= 0.0101


def test_heat_map_lies_over_the_image_with_its_shares(sources: Sources, params: Params) -> None:
    found = words(cam_panels.heat_maps(sources, Wanted(["cbam-mtl-unet-proposed"], "c")))
    index = open_packed(sources.data / "packed").index
    test = index[(index["split"] == "Test") & (index["subset"] == "infection")]
    lung, infected = (
        test["lung_px"].mean() / PX**2,
        test.loc[test["label"] == "COVID-19", "infection_px"].mean() / PX**2,
    )
    assert f"lungs 25.0%, which cover {lung:.1%} of the image (n = 8)" in found
    assert f"infection 12.5%, which cover {infected:.1%} of the image (n = 4)" in found
    assert "Non-COVID is no class of this head" in found
    corner = cam_panels.overlay(np.eye(4, dtype=np.float16))[..., 3]
    assert corner.shape == (PX, PX) and corner[0, 0] == cam_panels.OPACITY and corner[0, -1] == 0


def test_missing_explanations_are_named(sources: Sources) -> None:
    folder = sources.folder("cbam-mtl-unet-proposed")
    (folder / "explain.parquet").unlink()
    with pytest.raises(ValueError, match=r"explain\.parquet: missing; run the `explain` step"):
        cam_panels.heat_maps(sources, Wanted(["cbam-mtl-unet-proposed"], "c"))
    (folder / "cam.npz").unlink()
    with pytest.raises(ValueError, match=r"cam\.npz: missing; run the `explain` step"):
        cam_panels.heat_maps(sources, Wanted(["cbam-mtl-unet-proposed"], "c"))


def test_any_side_comes_to_256_as_torch_does() -> None:
    import torch
    import torch.nn.functional as F

    for side in (224, 256, 512):
        values = np.random.default_rng(side).normal(size=(side, side)).astype(np.float16)
        wanted = F.interpolate(torch.from_numpy(values.astype(np.float32))[None, None], (PX, PX), mode="bilinear")
        np.testing.assert_allclose(predicted.at_256(values), wanted[0, 0].numpy(), atol=2e-3)


def test_single_images_are_read_in_the_order_asked_for(sources: Sources) -> None:
    found = predicted.opened(sources, "cbam-mtl-unet-simple")
    rows = found.rows.tolist()
    with np.load(found.path) as file:
        whole = file["infection_logits"]
    maps = predicted.maps(found, "infection_logits", [rows[2], rows[0]])
    np.testing.assert_array_equal(maps, np.stack([predicted.at_256(whole[2]), predicted.at_256(whole[0])]))
    with pytest.raises(ValueError, match="has no prediction for row 9999"):
        predicted.maps(found, "infection_logits", [9999])
    with pytest.raises(ValueError, match="no 'reconstruction'"):
        predicted.maps(found, "reconstruction", rows[:1])
    assert [name for name, _ in predicted.classes(found, rows[:2])] == ["Normal", "COVID-19"]
    assert [p for _, p in predicted.classes(found, rows[:2])] == pytest.approx([0.881, 0.881], abs=1e-3)


def test_lung_cases_are_quantiles_of_area() -> None:
    frame = pd.DataFrame({"label": ["COVID-19"] * 11 + ["Normal"] * 3, "lung_px": [*range(11), 7, 9, 8]})
    frame["id"] = [f"c{i:02}" for i in range(14)]
    assert [row for _, row in lung_cases(frame, 4)] == [9, 1, 13, 11]
    with pytest.raises(ValueError, match="holds none of these test images"):
        lung_cases(frame.iloc[:0], 4)
