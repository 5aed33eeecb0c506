"""What the archive is to be made of, in one small file: the input of `download` that both engines can compare.

Input: `download` settings and, for a folder or a zip file, the environment. Output: source.json, without any path of
this machine. Where code decides on the archive's bytes, its hash is in there: that of the source in use, and no other.
"""

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from covidqu.config.data import Download
from covidqu.files import kept_as, write_text
from covidqu.ingest import outside

LOCAL = ("directory", "zip")
KEPT = ".kept"  # beside source.json: the archive under a second name


def source(out: Path, config: Download) -> None:
    """Write source.json; a file that says the same already is left alone. ValueError for a source that is not there."""
    text, warning = look(config, out)
    if warning:
        print(f"source: {warning}")
    if not out.is_file() or out.read_text(encoding="utf-8") != text:
        write_text(out, text)


def look(config: Download, out: Path) -> tuple[str, str | None]:
    """Text that source.json should have now, and a warning if the source itself is gone.

    A folder or file that is gone after source.json was made of it, or that nothing names any more, is no fault: the
    archive stays. ValueError (`outside.Absent` where it is not there) for any other source that cannot be used.
    """
    kind = module(config.source)
    if config.source not in LOCAL:
        return _text(config.source, kind.facts(getattr(config, config.source))), None
    memory = out.with_name(f".{out.name}")
    try:
        found = outside.facts(outside.named(config, kind), kind, memory)
    except outside.Absent as error:
        recorded = _recorded(out)
        content = json.loads(recorded)
        made_of = [path for path, (_, known) in outside.remembered(memory).items() if known == content.get("sha256")]
        if content.get("source") != config.source or (error.path and str(error.path) not in made_of):
            raise
        place = f"{error.by}={error.path} is gone" if error.path else f"no {config.source} is named"
        archive = " ".join([str(out.parent / "raw" / "covidqu.zip"), *(["made of", *made_of[:1]] if made_of else [])])
        return recorded, f"{place}; going on with {archive}"
    return _text(config.source, found | ({"code": kind.code()} if kind.code() else {})), None


def module(source: str) -> ModuleType:
    """The module of a source: imported by name, so that no step depends on the code of a source that is not in use."""
    return import_module(f"covidqu.ingest.sources.{source}")


def _recorded(out: Path) -> str:
    """Text of source.json as it is, else of the kept archive's; "{}" where there is neither."""
    if out.is_file():
        return out.read_text(encoding="utf-8")
    return kept_as(out.with_name(KEPT)) or "{}"


def _text(source: str, facts: dict[str, Any]) -> str:
    return json.dumps({"source": source} | facts, sort_keys=True, separators=(",", ":"))
