"""Parameter files as mappings: YAML without aliases and without a key written twice, overlays laid on top.

Input: files, the later ones on top; output: one dictionary, not yet checked. ValueError names file, place and remedy.
"""

from pathlib import Path
from typing import Any

import yaml
from yaml.events import AliasEvent

MOST_BYTES = 1 << 20


class Refused(ValueError):
    """What YAML allows and a parameter file does not; the message names file and line."""


class Loader(yaml.SafeLoader):
    """The safe loader, which refuses what would be lost or shared without a word."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(AliasEvent):
            mark = self.peek_event().start_mark
            raise Refused(
                f"{self.name}, line {mark.line + 1}: a YAML alias; write the settings out, or put them under `systems` "
                "(`dvc exp run -S` writes through aliases: other runs would change, too)"
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        if not isinstance(node, yaml.MappingNode):
            return super().construct_mapping(node, deep)  # which refuses it
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise Refused(f"{self.name}, line {line}: a YAML merge key; put what runs share under `systems`")
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float | None):
                raise Refused(f"{self.name}, line {line}: a key that is no word; write it in quotes")
            if key in lines:
                raise Refused(f"{self.name}: the key {key!r} stands in line {lines[key]} and in line {line}; join them")
            lines[key] = line
        return super().construct_mapping(node, deep)


def read(files: list[Path]) -> dict[str, Any]:
    """Merge parameter files, later ones on top; ValueError for what cannot be read as a mapping.

    Runs and ablations that an overlay sets to null are left out, and with a run the ablations that name it.
    """
    merged: dict[str, Any] = {}
    for file in files:
        merged = merge(merged, content(file))
    return kept(merged)


def content(file: Path) -> dict[str, Any]:
    """The mapping that one file holds."""
    if not file.is_file():
        raise ValueError(f"{file}: no such parameter file; name one with --params or COVIDQU_PARAMS")
    if file.stat().st_size > MOST_BYTES:
        raise ValueError(f"{file}: larger than {MOST_BYTES} bytes; that is no parameter file")
    try:
        with file.open(encoding="utf-8") as stream:
            found = yaml.load(stream, Loader)
    except RecursionError:
        raise ValueError(f"{file}: nested too deeply; a few levels are enough") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ValueError(f"{file}: not valid YAML: {error}") from None
    except Refused:
        raise
    except (
        ValueError,
        OverflowError,
        TypeError,
        AttributeError,
        LookupError,
    ) as error:  # a date or number that is none
        raise ValueError(f"{file}: a value that YAML cannot read ({error}); write it in quotes") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file}: holds {type(found).__name__}, a mapping of settings is wanted")
    return found


def kept(raw: dict[str, Any]) -> dict[str, Any]:
    """Without the runs and ablations that are null."""
    runs, pairs = raw.get("runs"), raw.get("ablations")
    if not isinstance(runs, dict) or not isinstance(pairs, dict | None):
        return raw  # refused by `check`, with its path
    left_out = [name for name, run in runs.items() if run is None]
    named = {part: pair if isinstance(pair, list) else [] for part, pair in (pairs or {}).items()}
    pairs = {
        part: pair
        for part, pair in (pairs or {}).items()
        if pair is not None and not any(name in named[part] for name in left_out)
    }
    return raw | {"runs": {k: v for k, v in runs.items() if v is not None}, "ablations": pairs}


def merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """Deep merge: dicts are merged, all else is replaced; a dict of another `kind` or `system` replaces."""
    out = dict(base)
    for key, value in top.items():
        old = out.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            tagged = "kind" in value and "kind" in old and value["kind"] != old["kind"]
            out[key] = value if tagged else merge(old, value)
        else:
            out[key] = value
    return out
