"""A bundle of a few kilobytes: graphs that need no training, written as `covidqu export bundle` does."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from covidqu.files import sha256
from covidqu.reading.bundle import Bundle, open_bundle, write_metadata

PX = 32
ABOUT: dict[str, Any] = {
    "name": "tiny",
    "version": "0.1.0",
    "covidqu_version": "0.1.0",
    "task": "lung, infection, class of a frontal chest X-ray",
    "description": "No network: brightness against a threshold.",
    "authors": "nobody",
    "copyright": "MIT",
    "intended_use": "tests",
    "limits": ["It knows nothing."],
    "run": "tiny",
    "system": "reference",
    "image_px": PX,
    "output_px": PX,
    "filters": [],
    "roi": "whole",
    "normalise": "unit",
    "flip_test": False,
    "weights": "float32",
    "outputs": ["lung", "infection", "class", "features"],
    "classes": {"Normal": 0, "Non-COVID": 1, "COVID-19": 2},
    "temperature": 2.0,
    "trust": {},
    "training_data": {"name": "none", "licence": "MIT", "citation": "none", "images": 1},
    "scores": {"lung Dice": [0.5, 0.5]},
    "network_data_format": {"inputs": {}, "outputs": {}},
}


def tiny(folder: Path, seeds: int = 2, **changes: Any) -> Bundle:
    """Lung: brighter than 100 (and than 110, 120, ... for further seeds); infection: brighter than 180."""
    folder.mkdir()
    members = []
    for seed in range(seeds):
        file = folder / f"tiny-{seed}.onnx"
        onnx.save(graph(100.0 + 10 * seed), file)
        known = {"file": file.name, "sha256": sha256(file), "seed": seed}
        members.append(known | {"weights_sha256": "1" * 64, "data_hash": "2" * 64})
    np.savez(folder / "reference.npz", hashes=np.zeros((1, 32), np.uint8))
    arrays = {"file": "reference.npz", "sha256": sha256(folder / "reference.npz")}
    write_metadata(folder, ABOUT | {"members": members, "arrays": arrays} | changes)
    return open_bundle(folder)


def graph(threshold: float) -> onnx.ModelProto:
    """uint8 (n, 32, 32) -> logits and features of brightness alone."""
    constants = {"lung_at": threshold, "infection_at": 180.0, "ten": 10.0}
    nodes = [helper.make_node("Cast", ["image"], ["grey"], to=TensorProto.FLOAT)]
    for name in ("lung", "infection"):
        nodes.append(helper.make_node("Sub", ["grey", f"{name}_at"], [f"{name}_over"]))
        nodes.append(helper.make_node("Div", [f"{name}_over", "ten"], [name]))
    nodes.append(helper.make_node("ReduceMean", ["infection", "sides"], ["one"], keepdims=0))
    nodes.append(helper.make_node("Unsqueeze", ["one", "last"], ["column"]))
    nodes.append(helper.make_node("Neg", ["column"], ["against"]))
    nodes.append(helper.make_node("Concat", ["against", "against", "column"], ["class"], axis=1))
    nodes.append(helper.make_node("Concat", ["column", "against"], ["features"], axis=1))
    tensors = [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()]
    tensors += [numpy_helper.from_array(np.array([1, 2]), "sides"), numpy_helper.from_array(np.array([1]), "last")]
    shapes = {"lung": ["n", PX, PX], "infection": ["n", PX, PX], "class": ["n", 3], "features": ["n", 2]}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", PX, PX])
    made = helper.make_graph(nodes, "tiny", [image], outputs, tensors)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
