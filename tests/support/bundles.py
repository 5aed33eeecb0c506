"""Bundles for tests, written as `covidqu export bundle` does: graphs that nobody trained.

`grey_bundle` marks grey values, so that what it finds is known; `phantom_bundle` is enough like networks to compare the
page with `reading` to the last digit.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from covidqu.config.data import CLASSES
from covidqu.files import sha256
from covidqu.reading.bundle import NOTICE, Bundle, open_bundle, write_metadata
from covidqu.reading.geometry import as_input
from covidqu.reading.model import Model
from covidqu.reading.signs import Signs, signs
from covidqu.reading.trust import fit
from support.radiographs import chest

GREY_PX = 64
PX, OUT_PX = 128, 256  # of the phantoms' bundle
LABELS = {"Normal": 0, "Non-COVID": 1, "COVID-19": 2}
OUTPUTS = ("lung", "infection", "class", "features")


def described(folder: Path, px: int, **facts: Any) -> Bundle:
    """Write `metadata.json` of the graphs `*.onnx`, one per seed, and the `reference.npz` that are in `folder`.

    `facts`: keys that it shall have otherwise.
    """
    member = {"weights_sha256": "0" * 64, "data_hash": "0" * 64}
    files = sorted(folder.glob("*.onnx"))
    tensor: dict[str, Any] = {"type": "image", "format": "grayscale", "dtype": "uint8", "num_channels": 1}
    tensor |= {"spatial_shape": [px, px], "value_range": [0, 255], "channel_def": {"0": "grey"}}
    known: dict[str, Any] = {
        **{"name": folder.name, "version": "1", "covidqu_version": "0.1.0", "task": "lungs, infection and class"},
        **{"description": "Graphs that nobody trained.", "authors": "nobody", "copyright": "none"},
        **{"intended_use": f"{NOTICE}. Tests.", "limits": ["knows no chest"], "run": "none", "system": "reference"},
        **{"image_px": px, "output_px": px, "filters": [], "roi": "whole", "normalise": "unit", "flip_test": False},
        **{"weights": "float32", "outputs": OUTPUTS, "classes": LABELS, "temperature": 2.0, "trust": {}, "scores": {}},
        "members": [{"file": f.name, "sha256": sha256(f), "seed": k, **member} for k, f in enumerate(files)],
        "arrays": {"file": "reference.npz", "sha256": sha256(folder / "reference.npz")},
        "training_data": {"name": "none", "licence": "none", "citation": "none", "images": 1},
        "network_data_format": {"inputs": {"image": tensor}, "outputs": {}},
    }
    write_metadata(folder, known | facts)
    return open_bundle(folder)


def grey_bundle(
    folder: Path, *, darks: tuple[float, ...] = (110.0, 100.0), infected: float = 80.0, **facts: Any
) -> Bundle:
    """Members of 64 x 64 pixels that mark grey values below `darks` as lung and, of these, above `infected`."""
    folder.mkdir(parents=True)
    outputs = facts.setdefault("outputs", list(OUTPUTS))
    for seed, dark in enumerate(darks):
        onnx.save(grey_graph(dark, infected, outputs), folder / f"seed{seed}.onnx")
    np.savez(folder / "reference.npz")
    return described(folder, GREY_PX, **{"classes": LABELS if "class" in outputs else {}} | facts)


def grey_graph(dark: float, infected: float, outputs: Iterable[str]) -> onnx.ModelProto:
    """Lung: pixels below `dark`; infection: of these, above `infected`; class logits 0, 1, 2; features: the mean."""
    tensors = {"dark": dark, "infected": infected, "tenth": 0.1}
    constants = [numpy_helper.from_array(np.float32(value), name) for name, value in tensors.items()]
    constants.append(numpy_helper.from_array(np.array([[0, 1, 2]], np.float32), "logits"))
    constants.append(numpy_helper.from_array(np.array([1, 2], np.int64), "axes"))
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["dark", "x"], ["below"]),
        helper.make_node("Mul", ["below", "tenth"], ["lung"]),
        helper.make_node("Sub", ["x", "infected"], ["above"]),
        helper.make_node("Mul", ["above", "tenth"], ["bright"]),
        helper.make_node("Min", ["bright", "lung"], ["infection"]),
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["features"]),
        helper.make_node("Mul", ["features", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "logits"], ["class"]),
    ]
    constants.append(numpy_helper.from_array(np.array([1], np.int64), "one"))
    constants.append(numpy_helper.from_array(np.float32(0), "zero"))
    whole = ["n", GREY_PX, GREY_PX]
    shapes = {"lung": whole, "infection": whole, "class": ["n", 3], "features": ["n", 1]}
    made = helper.make_graph(
        nodes,
        "grey values",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, whole)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in outputs],
        constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def phantom_graph(seed: int, px: int = PX, out_px: int = OUT_PX) -> onnx.ModelProto:
    """Two ellipses where dark enough are lung, what is bright in them infection; each seed a little otherwise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:px, :px] / px - 0.5
    ellipses = np.maximum(*(1 - ((x - c) / 0.16) ** 2 - ((y - 0.02) / 0.32) ** 2 for c in (-0.2, 0.2)))
    constants = {
        "one": np.array([1], np.int64),
        "scale": np.float32(1 / 255),
        "place": (3 * ellipses).astype(np.float32)[None, None],
        "filters": rng.normal(0, 0.3, (6, 1, 5, 5)).astype(np.float32),
        "weights": rng.normal(0, 4, (6, 3)).astype(np.float32),
        "dark": np.float32(2.5 + 0.4 * rng.normal()),
        "bright": np.float32(9 + rng.normal()),
        "middle": np.float32(0.45 + 0.02 * rng.normal()),
        "factors": np.array([1, 1, out_px / px, out_px / px], np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["bytes"], to=TensorProto.FLOAT),
        node("Mul", ["bytes", "scale"], ["unit"]),
        node("Unsqueeze", ["unit", "one"], ["x"]),
        node("AveragePool", ["x"], ["blur"], kernel_shape=[9, 9], pads=[4] * 4),
        node("Mul", ["blur", "dark"], ["light"]),
        node("Sub", ["place", "light"], ["small_lung"]),
        node("Sub", ["blur", "middle"], ["over"]),
        node("Mul", ["over", "bright"], ["marked"]),
        node("Min", ["marked", "small_lung"], ["small_infection"]),
        node("Conv", ["x", "filters"], ["maps"], pads=[2] * 4),
        node("Relu", ["maps"], ["seen"]),
        node("ReduceMean", ["seen"], ["features"], axes=[2, 3], keepdims=0),
        node("MatMul", ["features", "weights"], ["class"]),
    ]
    for task in ("lung", "infection"):
        linear = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        nodes += [
            node("Resize", [f"small_{task}", "", "factors"], [f"{task}_4"], **linear),
            node("Squeeze", [f"{task}_4", "one"], [task]),
        ]
    tensor = helper.make_tensor_value_info
    shapes = {
        "lung": ["n", out_px, out_px],
        "infection": ["n", out_px, out_px],
        "class": ["n", 3],
        "features": ["n", 6],
    }
    whole = helper.make_graph(
        nodes,
        f"seed {seed}",
        [tensor("image", TensorProto.UINT8, ["n", px, px])],
        [tensor(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def phantom_bundle(folder: Path) -> Bundle:
    """Three seeds in `folder`, their limits from phantoms."""
    folder.mkdir(parents=True)
    for seed in range(3):
        onnx.save(phantom_graph(seed), folder / f"seed{seed}.onnx")
    np.savez(folder / "reference.npz", nothing=np.zeros(1, np.float32))
    facts: dict[str, Any] = {"output_px": OUT_PX, "temperature": 1.7, "scores": {"infection Dice": [0.1, 0.2, 0.3]}}
    model = Model(described(folder, PX, **facts), threads=1)
    parts = [[_signs(model, k, label) for k in numbers for label in CLASSES] for numbers in (range(12), range(20, 30))]
    known = fit(*parts, [f"phantom {k}" for k in range(len(parts[0]))])
    np.savez(folder / "reference.npz", **known.arrays)
    return described(folder, PX, **facts, trust={code: limit._asdict() for code, limit in known.limits.items()})


def _signs(model: Model, number: int, label: str) -> Signs:
    image = chest(number, label).image
    found = model.outputs(as_input(image, [], PX)[None])
    return signs(image, [{name: values[0] for name, values in one.items()} for one in found], image.shape)
