"""The graphs of a bundle on ONNX Runtime: uint8 images in, logits of each seed out. No PyTorch."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort

from covidqu.cores import cores
from covidqu.reading.bundle import Bundle


class Graphs:
    """ONNX files, ready. `threads`: cores to use; without it all that this process may."""

    def __init__(self, files: Iterable[Path], threads: int | None = None) -> None:
        self.sessions = [session(file) for file in files]
        self.pool = ThreadPoolExecutor(threads or cores())

    def __call__(self, images: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Images (n, px, px) uint8 -> one dictionary per graph, as `Model.outputs`.

        Each image goes through each graph by itself on one core: its maps then fit the cache, which is a quarter faster
        than batches that the cores share, and a reading cannot depend on what is read beside it.
        """
        alone = [images[place : place + 1] for place in range(len(images))] or [images]
        work = [[self.pool.submit(one.run, None, {"image": image}) for image in alone] for one in self.sessions]
        found = []
        for one, parts in zip(self.sessions, work, strict=True):
            names = [output.name for output in one.get_outputs()]
            values = zip(*(part.result() for part in parts), strict=True)
            found.append({name: np.concatenate(arrays) for name, arrays in zip(names, values, strict=True)})
        return found


class Model:
    """All members of a bundle, ready; `threads` as of `Graphs`."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        self.graphs = Graphs(bundle.graphs, threads)

    def outputs(self, images: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Images (n, px, px) uint8, filtered and resized to `image_px` -> one dictionary per member.

        `lung`, `infection` (n, P, P), P = `output_px`, and `class` (n, k): logits; `features` (n, C); all float32,
        whichever the run has. ValueError for another shape or type.
        """
        px = self.bundle.metadata.image_px
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (px, px):
            raise ValueError(f"images: {images.dtype} {images.shape}, wanted uint8 (n, {px}, {px})")
        return self.graphs(images)


def session(graph: Path) -> ort.InferenceSession:
    """One graph on one core of the CPU; ValueError for a file that this ONNX Runtime cannot run."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"{graph}: ONNX Runtime {ort.__version__} cannot run it ({first}); update it") from error
