"""Get the archive, whatever its source.

Input: source.json and `download` settings; a release on Kaggle, a zip file, a folder, or nothing (the phantom).
Output: one zip file, there whole or not at all. What is inside is the business of the `pack` step.
"""

from pathlib import Path

from covidqu.config.data import Download
from covidqu.files import keep, take_back
from covidqu.ingest import outside
from covidqu.ingest.source import KEPT, LOCAL, look, module
from covidqu.locks import only_writer


def download(source: Path, out: Path, config: Download) -> None:
    """Write the archive that the file `source` describes to `out`.

    It keeps a second name beside `source`: made anew after it was deleted, or after a download of something else has
    failed, it is taken from there. ValueError for a source that is missing, refused or not the pinned release, or not
    what `source` says; OSError for the disk and the network.
    """
    wanted = source.read_text(encoding="utf-8")
    kept = source.with_name(KEPT)
    with only_writer(out):
        if take_back(kept, wanted, [out]):
            return
        if look(config, source)[0] != wanted:
            raise ValueError(f"{source}: is of another source than the one in use; run `covidqu source --out {source}`")
        kind = module(config.source)
        if config.source in LOCAL:
            kind.write(out, outside.named(config, kind))
        else:
            kind.write(out, getattr(config, config.source))
        keep(kept, wanted, [out])
