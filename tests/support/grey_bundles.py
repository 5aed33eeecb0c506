"""Small bundles for tests: graphs that mark grey values, so that what they find is known without a training."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from covidqu.reading.bundle import Metadata, write_metadata

PX = 64
LABELS = {"Normal": 0, "Non-COVID": 1, "COVID-19": 2}


def graph(dark: float, infected: float, outputs: Iterable[str]) -> onnx.ModelProto:
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
    shapes = {"lung": [None, PX, PX], "infection": [None, PX, PX], "class": [None, 3], "features": [None, 1]}
    made = helper.make_graph(
        nodes,
        "grey values",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", PX, PX])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shapes[name][1:]]) for name in outputs],
        constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def bundle(
    folder: Path, *, darks: tuple[float, ...] = (110.0, 100.0), infected: float = 80.0, **other: Any
) -> Metadata:
    """Write a bundle whose members mark grey values below `darks` as lung; `other` keys of its metadata."""
    folder.mkdir(parents=True)
    outputs = other.pop("outputs", ["lung", "infection", "class", "features"])
    members = []
    for seed, dark in enumerate(darks):
        file = folder / f"seed{seed}.onnx"
        onnx.save(graph(dark, infected, outputs), file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        members.append(
            {"file": file.name, "sha256": digest, "seed": seed, "weights_sha256": "0" * 64, "data_hash": "0" * 64}
        )
    np.savez(folder / "reference.npz")
    arrays = {"file": "reference.npz", "sha256": hashlib.sha256((folder / "reference.npz").read_bytes()).hexdigest()}
    tensor = {"type": "image", "format": "grayscale", "num_channels": 1, "spatial_shape": [PX, PX], "dtype": "uint8"}
    facts = {
        **dict.fromkeys(("version", "covidqu_version", "task", "description", "authors", "copyright"), "of a test"),
        **{"name": "grey", "intended_use": "tests", "limits": ["none"], "run": "grey", "system": "reference"},
        **{"image_px": PX, "output_px": PX, "filters": [], "roi": "whole", "normalise": "unit", "flip_test": False},
        **{"weights": "float32", "outputs": outputs, "classes": LABELS if "class" in outputs else {}},
        **{"temperature": 2.0, "members": members, "arrays": arrays, "trust": {}, "scores": {}},
        "training_data": {"name": "none", "licence": "none", "citation": "none", "images": 1},
        "network_data_format": {"inputs": {"image": tensor | {"value_range": [], "channel_def": {}}}, "outputs": {}},
    }
    return write_metadata(folder, facts | other)
