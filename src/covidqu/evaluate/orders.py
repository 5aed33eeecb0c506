"""What the order of images does to a mean over batches: counts per image in, one mean Dice per order out.

`batch8_seq` pools pixels within batches of consecutive images, so it depends on which images share a batch. Permuted
within classes, batches still hold one class each, as in file order; only their members change.
"""

import numpy as np
import pandas as pd

from covidqu.evaluate.protocols import batch_sums, counts, measures


def dice_over_orders(scores: pd.DataFrame, task: str, batch: int, orders: int, seed: int) -> np.ndarray:
    """(orders,) mean Dice over batches, each after a random permutation of the images within their classes.

    Classes keep the order in which they first appear; ValueError for no images or a batch below 1.
    """
    table = counts(scores, task)
    place = pd.factorize(scores["label"])[0]
    keys = place + np.random.default_rng(seed).random((orders, len(table)))
    shuffled = table[np.argsort(keys, axis=1)].reshape(orders, len(table), -1)
    sums = batch_sums(np.moveaxis(shuffled, 1, 0), batch)
    return measures(sums, if_empty=1.0)["dice"].mean(axis=0)
