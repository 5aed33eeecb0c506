"""Figures: the same bytes on every run, cases chosen without scores, clear words when something is missing."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from covidqu.config.params import Params, load
from covidqu.data.index import open_packed, unpack_mask
from covidqu.evaluate.predictions import META_KEYS
from covidqu.report.catalogue import figures
from covidqu.report.core.artefacts import Reads
from covidqu.report.core.sources import Sources
from covidqu.report.drawing.panels import cases
from covidqu.report.figures import figure
from covidqu.report.figures import figures as step
from support.places import ROOT


@pytest.fixture(scope="module")
def params() -> Params:
    return load([ROOT / "params.yaml"])


@pytest.fixture
def folders(tmp_path: Path, packed: Path, params: Params) -> tuple[Path, Path]:
    """Data with the phantom's arrays, results in which every prediction is the annotation moved by four pixels."""
    data, results = tmp_path / "data", tmp_path / "results"
    (data / "roi").mkdir(parents=True)
    (data / "packed").symlink_to(packed)
    opened = open_packed(packed)
    infected = opened.infection_masks.shape[0]
    np.save(data / "roi" / "ground-truth.npy", opened.lung_masks[:infected])
    np.save(data / "roi" / "unet-roi-lung.npy", opened.lung_masks[:infected])
    rows = np.flatnonzero((opened.index["split"] == "Test") & (opened.index["subset"] == "infection"))
    logits = np.where(np.roll(unpack_mask(opened.infection_masks[rows]), 4, axis=1), 3.0, -3.0).astype(np.float16)
    history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [1.0, 0.8, 0.7], "val_loss": [1.1, 0.9, 0.95]})
    history["train_infection_dice"], history["val_infection_dice"] = [0.3, 0.5, 0.55], [0.2, 0.45, 0.44]
    history["best"] = [1, 1, 0]
    for run in figures(params)["unet-roi/figure-1"].shown(params):
        folder = results / "runs" / run
        folder.mkdir(parents=True)
        meta = json.dumps(dict.fromkeys(META_KEYS, "") | {"run": run, "tasks": ["infection"]})
        np.savez(folder / "predictions.npz", row=rows.astype(np.int32), infection_logits=logits, meta=meta)
        history.to_csv(folder / "history.csv", index=False)
    return data, results


def test_targets_say_what_figures_need(params: Params) -> None:
    found = figures(params)
    assert found["unet-roi/curves-unet-roi-lung"].kind == "svg" and found["unet-roi/figure-1"].kind == "png"
    assert "unet-roi/curves-unet-roi-infection-predicted" not in found  # nothing is trained
    assert found["unetpp-b3/curves-unetpp-b3"].behind(params) == ["unetpp-b3"]
    assert found["unet-roi/figure-1"].rois(params) == ["ground-truth", "unet-roi-lung"]
    assert Reads.IMAGES in found["unetpp-b3/figure-2"].reads and Reads.IMAGES not in found["unetpp-b3/figure-1"].reads


@pytest.mark.parametrize(
    "name", ["unetpp-b3/figure-1", "unetpp-b3/figure-2", "unet-roi/figure-1", "unet-roi/curves-unet-roi-infection"]
)
def test_reruns_give_the_same_bytes(name: str, params: Params, folders: tuple[Path, Path], tmp_path: Path) -> None:
    kind = figures(params)[name].kind
    one, other = tmp_path / "a" / f"f.{kind}", tmp_path / "b" / f"f.{kind}"
    figure(Sources(params, *folders), name, one)
    figure(Sources(params, *folders), name, other)
    assert one.read_bytes() == other.read_bytes()
    if kind == "png":
        assert imread(one).std() > 0.05
    else:
        assert b"<svg" in one.read_bytes() and b"dc:date" not in one.read_bytes()
    assert sorted(p.name for p in one.parent.iterdir()) == [one.name]


def test_curves_follow_the_history(params: Params, folders: tuple[Path, Path], tmp_path: Path) -> None:
    name = "unet-roi/curves-unet-roi-infection"
    figure(Sources(params, *folders), name, tmp_path / "a.svg")
    path = folders[1] / "runs" / "unet-roi-infection" / "history.csv"
    path.write_text(path.read_text().replace("0.45", "0.95"))
    figure(Sources(params, *folders), name, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() != (tmp_path / "b.svg").read_bytes()


def test_cases_are_quantiles_of_area_and_first_by_id() -> None:
    area = [10, 500, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    frame = pd.DataFrame({"subset": "infection", "split": "Test", "label": "COVID-19", "infection_px": area})
    others = pd.DataFrame({"subset": "infection", "split": "Test", "label": ["Normal", "Normal", "Non-COVID"]})
    index = pd.concat([frame, others.assign(infection_px=0)], ignore_index=True)
    index["id"] = [f"c{i:02}" for i in range(11)] + ["n2", "n1", "x1"]
    chosen = cases(index, 4)
    assert [row for _, row in chosen] == [10, 2, 12, 13]  # 100 px, 20 px, first Normal, first Non-COVID
    assert chosen[0][0] == "infected area at its 90% quantile"
    assert [row for _, row in cases(index, 5)] == [10, 2, 12, 13, 6]
    assert len(cases(index, 2)) == 2


def test_missing_inputs_are_named(params: Params, folders: tuple[Path, Path], tmp_path: Path) -> None:
    data, results = folders
    (results / "runs" / "unet-roi-infection" / "history.csv").unlink()
    with pytest.raises(ValueError, match=r"history\.csv: missing or empty; run the `train` step"):
        figure(Sources(params, data, results), "unet-roi/curves-unet-roi-infection", tmp_path / "f.svg")
    (results / "runs" / "unet-roi-infection" / "predictions.npz").unlink()
    with pytest.raises(ValueError, match=r"predictions\.npz: missing; run the `predict` step"):
        figure(Sources(params, data, results), "unet-roi/figure-1", tmp_path / "f.png")
    with pytest.raises(ValueError, match="`pack` step writes is missing"):
        figure(Sources(params, tmp_path / "none", results), "unetpp-b3/figure-1", tmp_path / "f.svg")


def test_named_figures_only_and_a_wrong_name_is_refused(
    params: Params, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    drawn = ["unetpp-b3/figure-1", "unet-roi/figure-1"]
    out = tmp_path / "figures"
    step(drawn, params, *folders, out)
    found = [file.relative_to(out).as_posix() for file in sorted(out.rglob("*.*"))]
    assert found == ["unet-roi/figure-1.png", "unetpp-b3/figure-1.svg"]
    with pytest.raises(ValueError, match="no figure is called 'unetpp-b3/figure-9'; figures are: "):
        step(["unetpp-b3/figure-9"], params, *folders, out)
