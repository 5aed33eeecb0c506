"""What a bundle's graphs give for the images of Train and Val: limits of its warnings, and its temperature.

Input: packed data, split and graphs; output: `Familiar`. Of Train the first seed alone is asked, for its features.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from covidqu.config.training import Run
from covidqu.data.examples import split_rows, trained_on
from covidqu.data.index import open_packed
from covidqu.reading.geometry import as_input
from covidqu.reading.model import Graphs
from covidqu.reading.signs import Signs, signs
from covidqu.reading.trust import Known, fit, temperature

AT_ONCE = 32  # images whose outputs are held


class Familiar(NamedTuple):
    """`known`: what pictures are held against; `temperature` of the classes, 1 without; `images` of Train."""

    known: Known
    temperature: float
    images: int


def familiar(run: Run, data: Path, graphs: list[Path]) -> Familiar:
    """Run the graphs over Train (those images that the run learnt from) and Val."""
    packed = open_packed(data / "packed")
    parts = split_rows(packed, data / "split.parquet", run.subset, run.split)
    train, val = trained_on(packed, parts["Train"], run), parts["Val"]
    packed.verify(np.concatenate([train, val]))
    seen, _ = looked_at(run, packed.images, train, Graphs(graphs[:1]), "Train")
    held_out, logits = looked_at(run, packed.images, val, Graphs(graphs), "Val")
    found = fit(seen, held_out, packed.index["id"].to_numpy()[train].tolist())
    return Familiar(found, fitted(run, packed.index["label"].to_numpy()[val], logits), len(train))


def looked_at(
    run: Run, images: np.ndarray, rows: np.ndarray, graphs: Graphs, part: str
) -> tuple[list[Signs], np.ndarray]:
    """Signs of each row, and class logits (seeds, rows, k), k = 0 without a class head."""
    found, logits = [], []
    for start in tqdm(range(0, len(rows), AT_ONCE), desc=f"{part}, {len(graphs.sessions)} seeds", mininterval=2):
        pictures = [np.asarray(images[row]) for row in rows[start : start + AT_ONCE]]
        seen = np.stack([as_input(one, list(run.filters), run.image_px) for one in pictures])
        outputs = graphs(seen)
        for place, picture in enumerate(pictures):
            found.append(signs(picture, [{k: values[place] for k, values in seed.items()} for seed in outputs]))
        logits.append(np.stack([seed.get("class", np.zeros((len(seen), 0), np.float32)) for seed in outputs]))
    return found, np.concatenate(logits, axis=1)


def fitted(run: Run, labels: np.ndarray, logits: np.ndarray) -> float:
    """The temperature, from the images whose label the class head knows."""
    if not logits.shape[-1]:
        return 1.0
    known = np.isin(labels, list(run.class_map))
    return temperature(logits[:, known], np.array([run.class_map[label] for label in labels[known]]))
