"""One's own X-rays: pictures in, lungs, infection, shares and warnings out, on ONNX Runtime.

From Python: `import covidqu`, then `covidqu.load("reference").read("my-xray.png")`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from covidqu.reading.loaded import Loaded


def load(bundle: "str | Path" = "reference", threads: int | None = None, seeds: int | None = None) -> "Loaded":
    """A bundle that comes with the package, by its name, or one in a folder. ValueError for a damaged one.

    `threads`: cores to use; without it all that this process may. `seeds`: the first so many of them alone.
    """
    from covidqu.reading.loaded import Loaded

    return Loaded(bundle, threads, seeds)
