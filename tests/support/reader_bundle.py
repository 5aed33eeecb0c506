"""A bundle of small networks that nobody trained: enough to compare the page with `reading` to the last digit."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from covidqu.config.data import CLASSES
from covidqu.reading.bundle import NOTICE, Bundle, open_bundle, write_metadata
from covidqu.reading.geometry import as_input
from covidqu.reading.model import Model
from covidqu.reading.signs import Signs, signs
from covidqu.reading.trust import fit
from support.radiographs import chest

PX, OUT_PX = 128, 256
SEEDS = (0, 1, 2)


def graph(seed: int, px: int = PX, out_px: int = OUT_PX) -> onnx.ModelProto:
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


def write(folder: Path) -> Bundle:
    """The bundle of three seeds in `folder`, its limits from phantoms."""
    folder.mkdir(parents=True)
    for seed in SEEDS:
        onnx.save(graph(seed), folder / f"seed{seed}.onnx")
    np.savez(folder / "reference.npz", nothing=np.zeros(1, np.float32))
    limits: dict[str, dict[str, float]] = {}
    bundle = described(folder, limits)
    model = Model(bundle, threads=1)
    parts = [[_signs(model, k, label) for k in numbers for label in CLASSES] for numbers in (range(12), range(20, 30))]
    known = fit(*parts, [f"phantom {k}" for k in range(len(parts[0]))])
    np.savez(folder / "reference.npz", **known.arrays)
    return described(folder, {code: limit._asdict() for code, limit in known.limits.items()})


def _signs(model: Model, number: int, label: str) -> Signs:
    image = chest(number, label).image
    found = model.outputs(as_input(image, [], PX)[None])
    return signs(image, [{name: values[0] for name, values in one.items()} for one in found], image.shape)


def described(folder: Path, limits: dict[str, dict[str, float]], **otherwise: Any) -> Bundle:
    """`metadata.json` of the files in `folder`; `otherwise`: keys that it shall have otherwise."""
    hashed = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    member = {"weights_sha256": "0" * 64, "data_hash": "0" * 64}
    size: dict[str, Any] = {
        "num_channels": 1,
        "spatial_shape": [PX, PX],
        "value_range": [0, 255],
        "channel_def": {"0": "grey"},
    }
    image = {"type": "image", "format": "grayscale", "dtype": "uint8", **size}
    metadata = {
        "name": "phantoms", "version": "1", "covidqu_version": "0.1.0", "task": "lungs, infection and class",
        "description": "Networks that nobody trained.", "authors": "nobody", "copyright": "none",
        "intended_use": f"{NOTICE}. Tests.", "limits": ["knows no chest"], "run": "phantoms", "system": "none",
        "image_px": PX, "output_px": OUT_PX, "filters": [], "roi": "whole", "normalise": "unit", "flip_test": False,
        "weights": "float32", "outputs": ["lung", "infection", "class", "features"],
        "classes": {"Normal": 0, "Non-COVID": 1, "COVID-19": 2}, "temperature": 1.7,
        "members": [{"file": f"seed{k}.onnx", "sha256": hashed[f"seed{k}.onnx"], "seed": k, **member} for k in SEEDS],
        "arrays": {"file": "reference.npz", "sha256": hashed["reference.npz"]}, "trust": limits,
        "training_data": {"name": "phantoms", "licence": "MIT", "citation": "None.", "images": 36},
        "scores": {"infection Dice": [0.1, 0.2, 0.3]},
        "network_data_format": {"inputs": {"image": image}, "outputs": {}},
    }  # fmt: skip
    write_metadata(folder, metadata | otherwise)
    return open_bundle(folder)
