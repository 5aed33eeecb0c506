"""Numbers on Val: those that `predict` and `score` give when Val is made the test part, and a hand-made Dice."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from covidqu.config.evaluation import Bootstrap, Evaluate
from covidqu.data.index import open_packed, unpack_mask
from covidqu.evaluate import protocols
from covidqu.evaluate.scores import read_scores, score
from covidqu.steps.validate import validate
from covidqu.systems.base import build
from support.training import Workplace

CONFIG = Evaluate(bootstrap=Bootstrap(resamples=100, confidence=0.95, seed=0), protocol_batch=8)
REFERENCE = {
    "init": "random",
    "model": {"encoder": "resnet18", "decoder_channels": [8, 8, 8, 8, 8]},
    "split": "official",
    "normalise": "unit",
    "flip_test": True,
}
CHANGES = {"runs": {"reference": REFERENCE}}
Places = Callable[..., Workplace]


def made(workplace: Workplace, name: str) -> Path:
    """validation.parquet of a run with random weights."""
    run = workplace.params.run(name)
    if not workplace.weights(name).is_file():
        torch.manual_seed(0)
        save_file(build(run.model, run.tasks, run.image_px).state_dict(), workplace.weights(name))
    out = workplace.out(name) / "validation.parquet"
    validate(name, run, workplace.inputs(name), weights=workplace.weights(name), out=out)
    return out


def swapped(workplace: Workplace, near_duplicate: list[int]) -> pd.DataFrame:
    """A split file in which Val and Test change places."""
    split = workplace.folder / "split.parquet"
    table = pd.read_parquet(split)
    table["official"] = table["official"].replace({"Val": "Test", "Test": "Val"})
    table["near_duplicate"] = table.index.isin(near_duplicate)
    table.assign(row=np.arange(len(table))).to_parquet(split)
    return table


@pytest.mark.parametrize("name", ["reference", "cbam-mtl-unet-proposed"])
def test_the_same_numbers_as_predict_and_score_when_val_is_tested(workplace: Places, name: str) -> None:
    here = workplace(**CHANGES)
    swapped(here, [])
    swapped(here, [0, 5, 20])
    found, meta = read_scores(made(here, name))
    swapped(here, [0, 5, 20])
    here.predict(name, here.folder / "predictions.npz")
    score(name, here.packed, here.folder / "split.parquet", here.folder / "predictions.npz", here.out(name), CONFIG)
    wanted, tested = read_scores(here.out(name) / "scores.parquet")
    known = here.params.run(name).class_map
    wanted = wanted[wanted["label"].isin(list(known))].reset_index(drop=True)
    wanted = wanted[[column for column in wanted if not column.endswith("_at_224")]]
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-4, atol=1e-5)  # batches of another size on the way
    assert found["infection_soft_prediction"].nunique() == len(found) > 0, "each image has numbers of its own"
    assert meta == tested | {"part": "Val", "px": 256}
    assert [path.name for path in here.out(name).glob("*.npz")] == []


def test_dice_of_a_mask_known_beforehand(workplace: Places) -> None:
    """Weights of zero and a bias make every pixel infection: Dice is 2 G / (P + G) for each image."""
    here = workplace(**CHANGES)
    swapped(here, [])
    swapped(here, [])
    name = "unet-roi-infection"
    run = here.params.run(name)
    state = {k: torch.zeros_like(v) for k, v in build(run.model, run.tasks, run.image_px).state_dict().items()}
    last = [key for key, value in state.items() if key.endswith("bias") and value.shape == (1,)]
    state[last[-1]] += 2.0
    save_file(state, here.weights(name))
    frame, _ = read_scores(made(here, name))
    data = open_packed(here.packed)
    index = data.index
    val = index.index[(index["subset"] == "infection") & (index["split"] == "Val")]
    assert frame["row"].tolist() == val.tolist() and frame["id"].tolist() == index["id"][val].tolist()
    annotated = unpack_mask(data.infection_masks[val.to_numpy()]).sum(axis=(1, 2))
    dice = protocols.per_image("img_covid", frame, "infection")["dice"]
    infected = annotated[annotated > 0]
    assert len(infected) == 4
    np.testing.assert_allclose(dice, 2 * infected / (infected + 256 * 256))
    for protocol in protocols.FALSE_INFECTION:
        assert protocols.per_image(protocol, frame, "infection")["over_1_percent"].eq(1).all()


def test_weights_that_diverged_are_named(workplace: Places) -> None:
    here = workplace(**CHANGES)
    swapped(here, [])
    swapped(here, [])
    made(here, "reference")
    state = load_file(here.weights("reference"))
    save_file({k: v * np.nan if v.is_floating_point() else v for k, v in state.items()}, here.weights("reference"))
    with pytest.raises(ValueError, match=r"reference\.safetensors: .*infection_logits.* hold nan or inf; the model"):
        made(here, "reference")


def test_bfloat16_is_used_where_masks_stay_and_refused_where_they_do_not(workplace: Places) -> None:
    here = workplace(runs={"reference": REFERENCE | {"test_precision": "bf16-mixed"}})
    swapped(here, [])
    swapped(here, [])
    with pytest.raises(ValueError, match=r"test_precision: \w+ masks in bfloat16 have a Dice of 0\.\d+ .* set"):
        made(here, "reference")  # random weights: logits near 0
    state = load_file(here.weights("reference"))
    state["net.segmentation_head.0.bias"] += 50
    save_file(state, here.weights("reference"))
    assert read_scores(made(here, "reference"))[0]["infection_tp"].sum() > 0
