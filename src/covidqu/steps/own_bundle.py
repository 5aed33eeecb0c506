"""A bundle of trained runs for `read`, made once: names or a file of weights in, the bundle's folder out."""

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

from covidqu.config.params import Params
from covidqu.files import sha256
from covidqu.imports import digest
from covidqu.reading.bundle import METADATA
from covidqu.steps.bundle import bundle, check_names

FOLDER = Path(".covidqu") / "bundles"


def own_bundle(names: list[str], weights: Path | None, params: Params) -> Path:
    """The folder of a bundle of these trainings; made now unless it is there of the same weights, settings and code.

    `weights`: the file of one training, RESULTS/weights/RUN.safetensors, of other results than those of the settings.
    ValueError for a file elsewhere or of another run, and where `steps.bundle` refuses.
    """
    data, results = Path(params.paths.data), Path(params.paths.results)
    if weights is not None:
        if weights.suffix != ".safetensors" or weights.absolute().parent.name != "weights" or not weights.is_file():
            raise ValueError(
                f"{weights}: no file RESULTS/weights/RUN.safetensors; card and scores are beside `weights`"
            )
        results, names = weights.absolute().parent.parent, names or [weights.stem]
        if names != [weights.stem]:
            raise ValueError(f"{weights}: weights of run '{weights.stem}', not of {', '.join(names)}; leave --run out")
    check_names(names, params)
    known = hashlib.sha256()
    for name in names:
        file = results / "weights" / f"{name}.safetensors"
        if not file.is_file():
            raise ValueError(f"{file}: no such file; train the run '{name}' first, or name a file with --weights")
        known.update(f"{name} {sha256(file)} {params.run(name).model_dump_json()}\n".encode())
    known.update(f"{version('covidqu')} {digest('steps.bundle')}".encode())
    out = FOLDER / f"{params.base(names[0])}-{known.hexdigest()[:16]}"
    if not (out / METADATA).is_file():
        print(f"{', '.join(names)}: exported for reading, once", file=sys.stderr)
        out.parent.mkdir(parents=True, exist_ok=True)
        bundle(names, params, data, results, out)
    return out
