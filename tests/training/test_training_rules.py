"""What the papers' training rules ask for: groups of rates, frozen parts, class maps, samplers and statistics."""

from pathlib import Path

import numpy as np
import pytest
import torch

from covidqu.config.params import Params, load
from covidqu.config.training import CrossEntropy, Dice
from covidqu.data.batches import shuffled
from covidqu.data.examples import RunData, trained_on
from covidqu.data.index import open_packed, unpack_mask
from covidqu.systems.base import build
from covidqu.training.optimization import freeze, optimization
from support.places import ROOT


@pytest.fixture(scope="module")
def params() -> Params:
    return load([ROOT / "params.yaml"])


def test_a_loss_of_another_task_is_refused(params: Params) -> None:
    run = params.run("recon-mtl-t123")
    for changes, words in (
        ({"loss": {"class": [Dice(kind="dice", weight=1, smooth=1)]}}, "valid: cross_entropy"),
        ({"loss": {"lung": [Dice(kind="dice", weight=1, smooth=1)]}}, "recon_mtl gives"),
        ({"classes": "three"}, "tells 2 classes apart"),
        ({"classes": None}, "classes: must be set"),
        ({"monitor": "lung"}, "monitor: lung is not trained"),
        ({"normalise": "imagenet"}, "set unit"),
    ):
        with pytest.raises(ValueError, match=words):
            type(run).model_validate(dict(run) | changes)
    only_class = {"loss": {"class": [CrossEntropy(kind="cross_entropy", weight=1)]}}
    assert type(run).model_validate(dict(run) | only_class).masks == ()


def test_phase_two_of_paper_000_has_the_groups_that_its_counts_say(params: Params) -> None:
    run = params.run("swin-dual-infection")
    with torch.device("meta"):
        model = build(run.model, run.tasks, run.image_px)
        optimizer, schedule = optimization(run, model)
    groups = {round(g["lr"], 12): sum(p.numel() for p in g["params"]) for g in optimizer.param_groups}
    # 36,692,302 of spec and paper less the convolution for one mask, 704, which phase 2 does not use
    assert groups == {1e-5: 36_692_302 - 704, 5e-4: 7_397_665}
    for _ in range(run.epochs):
        optimizer.step()
        schedule.step()
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([1e-6, 1e-6])


def test_phase_one_of_paper_000_trains_all_but_the_infection_branch(params: Params) -> None:
    run = params.run("swin-dual-lung")
    with torch.device("meta"):
        model = build(run.model, run.tasks, run.image_px)
    frozen = freeze(run, model)
    assert sum(p.numel() for part in frozen for p in part.parameters()) == 7_396_385
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trainable == 36_693_582 - 1_280  # less the convolution for two masks, which phase 1 does not use
    optimizer, _ = optimization(run, model)
    assert sum(p.numel() for g in optimizer.param_groups for p in g["params"]) == trainable


def test_parts_that_the_model_has_not_are_named(params: Params) -> None:
    run = params.run("swin-dual-infection")
    with torch.device("meta"):
        model = build(run.model, run.tasks, run.image_px)
    with pytest.raises(ValueError, match=r"rates.nose: .* parts are: swin, pool"):
        optimization(run.model_copy(update={"rates": {"nose": 2.0}}), model)
    with pytest.raises(ValueError, match="freeze: the model has no part 'nose'"):
        freeze(run.model_copy(update={"freeze": ["nose"]}), model)


def test_the_balanced_sampler_draws_every_class_equally_often() -> None:
    classes = np.array([1] * 20 + [0] * 10)
    drawn = np.concatenate(shuffled(30, 5, seed=3, epoch=1, classes=classes))
    assert len(drawn) == 30
    assert np.bincount(classes[drawn]).tolist() == [15, 15]
    assert len(set(drawn[classes[drawn] == 1])) == 15, "no image of the larger class twice"
    assert np.bincount(drawn)[20:].min() >= 1, "every image of the smaller class"
    again = np.concatenate(shuffled(30, 5, seed=3, epoch=1, classes=classes))
    other = np.concatenate(shuffled(30, 5, seed=3, epoch=2, classes=classes))
    assert np.array_equal(drawn, again)
    assert not np.array_equal(drawn, other)


def test_images_that_the_head_does_not_know_are_not_trained_on(packed: Path, params: Params) -> None:
    data = open_packed(packed)
    rows = data.rows("infection")
    kept = trained_on(data, rows, params.run("cbam-mtl-unet-pre"))
    assert set(data.index["label"].iloc[kept]) == {"Normal", "COVID-19"}
    assert 0 < len(kept) < len(rows)
    for run in ("recon-mtl-t123", "unetpp-b3", "swin-dual-lung"):
        assert np.array_equal(trained_on(data, rows, params.run(run)), rows)


def test_lung_tissue_statistics_are_those_of_normal_lungs(packed: Path, params: Params) -> None:
    data = open_packed(packed)
    rows = data.rows("infection")
    whole = np.full((1, 8192), 255, np.uint8)
    run = params.run("cbam-mtl-unet-pre").model_copy(update={"filters": []})
    run = run.model_copy(update={"image_px": 256})
    found = RunData(run, data, whole, {"Train": rows}).statistics
    normal = rows[(data.index["label"].iloc[rows] == "Normal").to_numpy()]
    pixels = data.images[normal][unpack_mask(data.lung_masks[normal])] / 255
    assert found[0][0] == pytest.approx(pixels.mean())
    assert found[1][0] == pytest.approx(pixels.std())
    covid = rows[(data.index["label"].iloc[rows] == "COVID-19").to_numpy()]
    with pytest.raises(ValueError, match="lungs of Normal images"):
        _ = RunData(run, data, whole, {"Train": covid}).statistics
