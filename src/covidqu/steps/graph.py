"""A trained run as one ONNX graph: settings and weights in, an ONNX model out that gives the logits of `predict`.

Inside the graph: normalisation, the lungs of another run that the image is seen through, the mirrored pass, the mean of
logits, the resize to the run's `evaluate_px`. Outside, because OpenCV does it to whole images: filters, and the resize
to `image_px`. What a reader must do before and after stands in the model's `metadata_props`.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxscript import opset18 as op
from torch import Tensor, nn

from covidqu.config.data import PX
from covidqu.config.training import Run
from covidqu.data.examples import Statistics
from covidqu.files import sha256
from covidqu.reading.bundle import NOTICE
from covidqu.steps.predict import FAR, resized
from covidqu.systems.base import System, build, load_weights

Stored = Literal["float32", "float16"]
OPSET = 18
SMALL = 256  # values: smaller tensors, and all of one axis, stay in float32


@dataclass(frozen=True)
class Trained:
    """A run with its weights, and what it normalises with."""

    name: str
    run: Run
    weights: Path
    statistics: Statistics | None


class Reader(nn.Module):
    """(n, px, px) uint8 -> what a graph gives, as `steps.predict.forward` computes it.

    `lungs`: the reader of the run whose lungs the image is seen through.
    """

    def __init__(self, trained: Trained, lungs: "Reader | None" = None) -> None:
        super().__init__()
        self.run, self.lungs = trained.run, lungs
        self.system = build(self.run.model, self.run.tasks, self.run.image_px)
        load_weights(self.system, trained.weights)
        means, deviations = trained.statistics or ((0.0,), (1.0,))
        for name, values in (("mean", means), ("deviation", deviations)):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)
        self.names = [task for task in self.run.tasks if task != "reconstruction"]
        if lungs is not None and "lung" not in self.names:
            self.names.insert(0, "lung")
        self.deepest = deepest(self.system, self.run.image_px)
        self.eval()

    @property
    def outputs(self) -> list[str]:
        return [*self.names, "features"]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        if self.lungs is not None:
            found = {"lung": self.lungs(image)["lung"]}
            image = image * seen_through(found["lung"], self.run.image_px)
        x = image.unsqueeze(1).to(torch.float32) / 255
        x = (x.expand(-1, self.system.channels, -1, -1) - self.mean) / self.deviation
        if self.run.flip_test:
            x = torch.cat([x, x.flip(-1)])
        seen: list[Tensor] = []
        hook = self.deepest.register_forward_hook(lambda module, given, map: seen.append(map))
        found |= self.system(x)
        hook.remove()
        found["features"] = seen[-1].mean((2, 3))
        return {name: self.out(name, found[name]) for name in self.outputs}

    def out(self, name: str, values: Tensor) -> Tensor:
        """The mean of both passes, masks at the run's `evaluate_px`."""
        if name == "lung" and "lung" not in self.run.tasks:
            return values  # of the other run
        if self.run.flip_test:
            as_it_is, mirrored = values.unflatten(0, (2, -1)).unbind(0)
            values = (as_it_is + (mirrored if values.ndim == 2 else mirrored.flip(-1))) / 2
        if values.ndim == 2:
            return values
        return resized(values, self.run.evaluate_px).clamp(-FAR, FAR)[:, 0]


def deepest(system: System, px: int) -> nn.Module:
    """The module whose map is the smallest: that of Grad-CAM, or the last one to give maps (B, C, h, h) that small."""
    layer = system.cam_layer()
    if layer is not None:
        return layer
    found: list[tuple[int, nn.Module]] = []

    def seen(module: nn.Module, given: Any, out: Any) -> None:
        if isinstance(out, Tensor) and out.ndim == 4 and out.shape[-1] == out.shape[-2] > 1:
            found.append((out.shape[-1], module))

    hooks = [module.register_forward_hook(seen) for module in system.modules() if module is not system]
    with torch.inference_mode():
        system.eval()(torch.zeros(1, system.channels, px, px))
    for hook in hooks:
        hook.remove()
    least = min(side for side, _ in found)
    return [module for side, module in found if side == least][-1]


def seen_through(lung: Tensor, px: int) -> Tensor:
    """(B, 256, 256) logits -> (B, px, px) uint8 of 0 and 1: the mask at the side of the image, as `data.examples`."""
    mask = (lung > 0).to(torch.float32)
    if px == PX:
        return mask.to(torch.uint8)
    weights = overlaps(px).to(mask)
    share = weights @ mask @ weights.T
    return (share * 255 > 127.499).to(torch.uint8)


def overlaps(px: int) -> Tensor:
    """(px, 256): the share of each of `px` pixels that each of 256 covers, as OpenCV averages areas."""
    scale = PX / px
    edges = torch.arange(px + 1, dtype=torch.float64) * scale
    low, high = edges[:-1, None], edges[1:, None]
    left = torch.arange(PX, dtype=torch.float64)[None]
    return ((torch.minimum(high, left + 1) - torch.maximum(low, left)).clamp(min=0) / scale).float()


def reader(trained: Trained, lungs: Trained | None) -> Reader:
    """The network that is exported; ValueError for a run that needs what no X-ray brings along."""
    run = trained.run
    if run.roi == "ground-truth":
        raise ValueError(
            f"{trained.name}: roi: ground-truth, and an X-ray brings no annotated lungs; name a run with `roi: whole`, "
            "or one that sees predicted lungs (as unet-roi-infection-predicted)"
        )
    if not {"lung", "infection", "class"} & set(run.tasks):
        raise ValueError(f"{trained.name}: has no output that a reading could use; name a run with a mask or a class")
    if lungs is None:
        return Reader(trained)
    other = lungs.run
    if (other.image_px, other.filters, other.roi) != (run.image_px, run.filters, "whole") or run.image_px > PX:
        raise ValueError(
            f"{trained.name}: {lungs.name}, whose lungs it sees through, does not see the same image (image_px, "
            f"filters, roi: whole; at most {PX} px); give both the same"
        )
    return Reader(trained, Reader(lungs))


def exported(trained: Trained, lungs: Trained | None, stored: Stored = "float32") -> onnx.ModelProto:
    """The graph of a run; the first axis of input and outputs is the number of images."""
    network, px = reader(trained, lungs), trained.run.image_px
    example = torch.zeros((2, px, px), dtype=torch.uint8)
    with any_length(network.system):
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["image"],
            output_names=network.outputs,
            dynamic_shapes={"image": {0: torch.export.Dim("n", min=1)}},
            opset_version=OPSET,
            dynamo=True,
            custom_translation_table={torch.ops.aten.scaled_dot_product_attention.default: attention},
            optimize=True,
            verbose=False,
        )
    model = program.model_proto
    if not model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise ValueError(f"{trained.name}: the exporter has fixed the number of images; its network cannot be exported")
    plain(model.graph)
    if stored == "float16":
        halve(model.graph)
    classes = [one.type.tensor_type.shape.dim[1].dim_value for one in model.graph.output if one.name == "class"]
    facts = about(trained, lungs, network, stored, sum(classes))
    del model.metadata_props[:]
    helper.set_model_props(model, {key: v if isinstance(v, str) else json.dumps(v) for key, v in facts.items()})
    onnx.checker.check_model(model)
    return model


@contextmanager
def any_length(system: System) -> Iterator[None]:
    """`len` of a tensor is a plain number, and the exporter would take it for the number of images for good: inside,
    the network's own module sees the symbol that stands for it.
    """
    module = sys.modules[type(system).__module__]
    vars(module)["len"] = lambda values: values.shape[0] if isinstance(values, Tensor) else len(values)
    try:
        yield
    finally:
        del vars(module)["len"]


def attention(query: Any, key: Any, value: Any, attn_mask: Any = None, *_: Any, **__: Any) -> Any:
    """Attention of (B, windows, heads, tokens, C) as ONNX operators: the exporter knows four axes only."""
    scale = op.Constant(value_float=query.shape[-1] ** -0.5)
    scores = op.MatMul(op.Mul(query, scale), op.Transpose(key, perm=[0, 1, 2, 4, 3]))
    return op.MatMul(op.Softmax(op.Add(scores, attn_mask), axis=-1), value)


def plain(graph: onnx.GraphProto) -> None:
    """Take out what the exporter says of its own source: paths of this machine, and half of a small file."""
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


def halve(graph: onnx.GraphProto) -> None:
    """Store large weights in float16; a node casts each back, which ONNX Runtime does once, at load."""
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.ndim < 2 or values.size < SMALL:
            continue
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def about(trained: Trained, lungs: Trained | None, network: Reader, stored: Stored, classes: int) -> dict[str, Any]:
    """What the model says of itself: texts, and JSON where it is none. `classes`: number of class logits."""
    run = trained.run
    filters = "".join(f", {step.kind} filter of {step.px} pixels" for step in run.filters)
    before = f"grey, 0 to 255, {PX} x {PX} pixels{filters}; then resized to {run.image_px} x {run.image_px} pixels "
    before += "(area average); normalisation, lungs and mirror image are inside the graph"
    after = (
        f"lung, infection: a pixel is marked where its logit is above 0; {run.evaluate_px} x {run.evaluate_px} pixels"
    )
    if run.classes:
        after += f"; class: {'softmax' if classes > 1 else 'sigmoid'} of {classes} logits"
    return {
        "notice": NOTICE,
        "covidqu_version": version("covidqu"),
        "run": trained.name,
        "system": run.model.system,
        "weights_sha256": sha256(trained.weights),
        "weights": stored,
        "lungs": {"run": lungs.name, "weights_sha256": sha256(lungs.weights)} if lungs else None,
        "image_px": run.image_px,
        "output_px": run.evaluate_px,
        "filters": [step.model_dump() for step in run.filters],
        "outputs": network.outputs,
        "classes": run.class_map,
        "preprocessing": before,
        "postprocessing": after,
    }
