"""Reading from Python: a bundle, loaded once, and one method for arrays and paths."""

from pathlib import Path

import numpy as np

from covidqu.reading.bundle import open_bundle
from covidqu.reading.model import Model
from covidqu.reading.pictures import of_array, open_picture
from covidqu.reading.reading import Reading, read


class Loaded:
    """`model`: the graphs; `model.bundle.metadata`: what they are."""

    def __init__(self, bundle: str | Path = "reference", threads: int | None = None, seeds: int | None = None) -> None:
        self.model = Model(open_bundle(bundle, seeds), threads)

    def read(self, picture: np.ndarray | str | Path) -> Reading:
        """Read one X-ray: a PNG, JPEG, TIFF or DICOM file, or an array, bone bright.

        (H, W) uint8 or uint16, or (H, W, 3) uint8. ValueError for what is no picture of this kind.
        """
        found = of_array(picture) if isinstance(picture, np.ndarray) else open_picture(Path(picture))
        return read(found, self.model)
