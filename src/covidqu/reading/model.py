"""The graphs of a bundle on ONNX Runtime: uint8 images in, logits of each seed out. No PyTorch."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from covidqu.cores import cores
from covidqu.reading.bundle import Bundle

BATCH = 8  # images at once: more are no faster on a CPU, and take more memory


class Model:
    """All members of a bundle, ready. `threads`: cores to use; without it all that this process may."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        self.sessions = [session(graph, threads or cores()) for graph in bundle.graphs]

    def outputs(self, images: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Images (n, px, px) uint8, filtered and resized to `image_px` -> one dictionary per member.

        `lung`, `infection` (n, P, P), P = `output_px`, and `class` (n, k): logits; `features` (n, C); all float32,
        whichever the run has. ValueError for another shape or type.
        """
        px = self.bundle.metadata.image_px
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (px, px):
            raise ValueError(f"images: {images.dtype} {images.shape}, wanted uint8 (n, {px}, {px})")
        return [run(one, images) for one in self.sessions]


def session(graph: Path, threads: int) -> ort.InferenceSession:
    """One graph on the CPU; ValueError for a file that this ONNX Runtime cannot run."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # seeds take turns on the same cores
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"{graph}: ONNX Runtime {ort.__version__} cannot run it ({first}); update it") from error


def run(one: ort.InferenceSession, images: np.ndarray) -> dict[str, np.ndarray]:
    """All outputs of one graph, a few images at a time."""
    names = [output.name for output in one.get_outputs()]
    parts = [one.run(names, {"image": images[i : i + BATCH]}) for i in range(0, max(len(images), 1), BATCH)]
    return {name: np.concatenate(found) for name, found in zip(names, zip(*parts, strict=True), strict=True)}
