"""What a trained run's weights cost as float16 and as 8-bit integers, and what they save. Choices are made on Val.

    uv run python benchmarks/stored.py RUN --params params.yaml --params FILE --data FOLDER --results FOLDER --out CSV

8 bits: ONNX Runtime's static quantisation (QDQ, weights of each channel) of convolutions and what lies between them,
calibrated on `CALIBRATION` training images.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

sys.path.insert(0, str(Path(__file__).parent))

from measuring import in_turns

from covidqu.config.params import load
from covidqu.config.training import Run
from covidqu.data.examples import split_rows, trained_on
from covidqu.data.index import Packed, open_packed, unpack_mask
from covidqu.reading.geometry import as_input
from covidqu.reading.model import Graphs
from covidqu.reading.reading import dice
from covidqu.steps.bundle import with_lungs
from covidqu.steps.graph import exported

CALIBRATION, AT_ONCE, TIMED = 96, 32, 32
BETWEEN = ["Conv", "Add", "Mul", "Concat", "Resize", "Relu", "Clip"]


class Calibration(CalibrationDataReader):
    """Batches of training images."""

    def __init__(self, images: np.ndarray) -> None:
        self.batches: Iterator[np.ndarray] = iter(np.split(images, len(images) // 8))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"image": batch}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--params", type=Path, action="append", required=True)
    for name in ("data", "results", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    params = load(given.params)
    settings, packed = params.run(given.run), open_packed(given.data / "packed")
    parts = split_rows(packed, given.data / "split.parquet", settings.subset, settings.split)
    train = np.random.default_rng(0).choice(trained_on(packed, parts["Train"], settings), CALIBRATION, replace=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        graphs = {stored: folder / f"{stored}.onnx" for stored in ("float32", "float16", "int8")}
        for stored in ("float32", "float16"):
            onnx.save(exported(*with_lungs(given.run, params, given.results), stored), graphs[stored])
        quant_pre_process(graphs["float32"], folder / "ready.onnx", skip_symbolic_shape=True)
        quantize_static(
            folder / "ready.onnx", graphs["int8"], Calibration(seen(packed, train, settings)),
            quant_format=QuantFormat.QDQ, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            per_channel=True, op_types_to_quantize=BETWEEN,
        )  # fmt: skip
        readers = {stored: Graphs([graph], 1) for stored, graph in graphs.items()}
        some = seen(packed, parts["Val"][:TIMED], settings)
        times = in_turns(TIMED, *(lambda one=one: one(some) for one in readers.values()), repeats=3)
        with given.out.open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["weights", "MB", "ms_per_image_one_core", "val_infection_dice", "val_marked"])
            for (stored, one), ms in zip(readers.items(), times, strict=True):
                value, marked = judged(one, packed, parts["Val"], settings)
                size = graphs[stored].stat().st_size / 1e6
                table.writerow([stored, f"{size:.1f}", f"{ms:.0f}", f"{value:.4f}", f"{marked:.4f}"])
    print(given.out.read_text())


def seen(packed: Packed, rows: np.ndarray, settings: Run) -> np.ndarray:
    """(n, px, px): images as the network sees them."""
    pictures = (np.asarray(packed.images[row]) for row in rows)
    return np.stack([as_input(picture, list(settings.filters), settings.image_px) for picture in pictures])


def judged(one, packed: Packed, rows: np.ndarray, settings: Run) -> tuple[float, float]:
    """Mean Dice of images with annotated infection, and the share of the others with more than 1 % marked."""
    found_dice, marked = [], []
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        found = one(seen(packed, some, settings))[0]["infection"] > 0
        for mask, row in zip(found, some, strict=True):
            truth = unpack_mask(packed.infection_masks[row])
            if truth.any():
                found_dice.append(dice(mask, truth))
            else:
                marked.append(mask.mean() > 0.01)
    return float(np.mean(found_dice)), float(np.mean(marked))


if __name__ == "__main__":
    main()
