"""Every network as an ONNX graph: what it gives is what `predict` writes, for any number of images."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from covidqu.data.examples import RunData, resized
from covidqu.data.index import unpack_mask
from covidqu.reading.model import Graphs
from covidqu.steps.bundle import model
from covidqu.steps.graph import overlaps, seen_through
from support.training import Workplace, awake

Make = Callable[..., Workplace]
RUNS = {  # run -> what it has otherwise here
    "swin-dual-infection": {},
    "unetpp-b3": {},
    "unet-roi-infection-predicted": {},
    "cbam-mtl-unet-proposed": {},
    "cbam-mtl-resunet-proposed": {"model": {"width": 8}},
    "recon-mtl-t123": {},
    "recon-mtl-cnn8": {},
    "reference": {"split": "official", "model": {"encoder": "resnet18", "decoder_channels": [8, 8, 8, 8, 8]}},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_graph_gives_what_predict_writes(name: str, workplace: Make, tmp_path: Path) -> None:
    place = workplace(runs={name: RUNS[name]})
    settings = place.params.run(name)
    for one in {name, settings.roi} & place.params.resolved.keys():
        awake(place, one)
    if settings.roi in place.params.roi.predicted:
        lungs = place.predict(settings.roi, tmp_path / "lungs.npz", roi_masks=True)
        np.save(place.folder / "roi" / f"{settings.roi}.npy", lungs["roi_masks"])
    wanted = place.predict(name, tmp_path / "wanted.npz")
    data = RunData.open(settings, place.inputs(name))
    place.out(name).mkdir(parents=True)
    (place.out(name) / "card.json").write_text(json.dumps({"intensity_statistics": data.statistics}))
    model(name, place.params, place.folder, tmp_path / "model.onnx")
    some = data.examples("Test")
    images = np.stack([some.image(position) for position in range(len(some))])
    graphs = Graphs([tmp_path / "model.onnx"], 1)
    found = graphs(images)[0]
    assert set(found) - {"features"} >= {task for task in settings.tasks if task != "reconstruction"}
    for key, values in found.items():
        if key == "features":
            assert values.ndim == 2 and np.ptp(values, axis=0).max() > 1e-4
        elif key in settings.tasks:
            stored = wanted[f"{key}_logits"]
            half = 2.0**-11 * np.abs(values) if stored.dtype == np.float16 else 0
            assert np.ptp(values, axis=0).max() > 3e-4, f"{key}: every image has the same answer"
            assert (np.abs(values - stored.astype(np.float32)) <= 1e-4 + half).all(), key
    (graph,) = graphs.sessions
    together = graph.run(None, {"image": images})
    for key, values in zip([output.name for output in graph.get_outputs()], together, strict=True):
        np.testing.assert_allclose(values, found[key], rtol=1e-5, atol=1e-4)
    if settings.roi in place.params.roi.predicted:
        masks = unpack_mask(lungs["roi_masks"][some.rows])
        assert 0.01 < masks.mean() < 0.99 and ((found["lung"] > 0) == masks).all()


@pytest.mark.parametrize("px", [32, 64, 96, 128, 160, 192, 224, 240, 256])
def test_lungs_are_made_as_small_as_for_training(px: int) -> None:
    rng = np.random.default_rng(0)
    coarse = rng.random((6, 64, 64)) < np.linspace(0.2, 0.8, 6)[:, None, None]
    masks = np.concatenate([coarse.repeat(4, 1).repeat(4, 2), rng.random((6, 256, 256)) < 0.5])
    logits = torch.from_numpy(np.where(masks, 3.0, -3.0).astype(np.float32))
    wanted = [resized(mask.astype(np.uint8) * np.uint8(255), px) >> 7 for mask in masks]
    assert (seen_through(logits, px).numpy() == np.stack(wanted)).all()
    assert torch.allclose(overlaps(px).sum(1), torch.ones(px))
