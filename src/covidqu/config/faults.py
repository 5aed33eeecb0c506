"""What is wrong with the settings, said of the key that was typed.

Input: errors of pydantic and the mapping that was validated. Output: one line per fault, `key: fault`, where the key
is a path through that mapping (without the names that pydantic gives to members of a union).
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError

LONGEST = 120  # characters of a value that are repeated in a message
MOST = 10  # lines of a message
PASSWORD = re.compile(r"(//)[^/\s'\"@]+@")

Path = tuple[str, ...]


class Fault(NamedTuple):
    """The key it is about and what is wrong with it; `absent`: a key that should be there."""

    path: Path
    words: str
    absent: bool = False

    def __str__(self) -> str:
        return visible(f"{'.'.join(self.path)}: {self.words}")


def explain(error: ValidationError, model: type[BaseModel], raw: Any = None) -> str:
    """One line per fault: the key's path (as pydantic has it without `raw`), what is wrong, what would be right."""
    return few([str(fault) for fault in faults(error, model, raw)])


def faults(error: ValidationError, model: type[BaseModel], raw: Any, start: Path = ()) -> list[Fault]:
    """All faults that pydantic found in `raw` or in what `start` leads to there, those of one key joined."""
    found: dict[tuple[Path, bool], list[str]] = {}
    for one in error.errors():
        one["loc"] = (*start, *one["loc"])
        path, words, absent = typed(one["loc"], raw), one["msg"].removeprefix("Value error, "), one["type"] == "missing"
        if absent:
            path, words = (*typed(one["loc"][:-1], raw), str(one["loc"][-1])), "required key is missing"
        elif one["type"] == "extra_forbidden":
            valid = valid_names(model, one["loc"][:-1])
            words = "unknown key" + (f"; valid here: {', '.join(valid)}" if valid else "")
        elif named := re.match(r"([\w.-]+): (?=\S)", words) if one["type"] == "value_error" else None:
            path, words = (*path, *named[1].split(".")), words[named.end() :]  # a check of several keys names one
        else:
            words = f"{words} (got {shown(one['input'])})"
        found.setdefault((path, absent), []).append(words)
    return [Fault(path, "; or: ".join(dict.fromkeys(words)), absent) for (path, absent), words in found.items()]


def typed(location: tuple[int | str, ...], raw: Any) -> Path:
    """The part of a location that leads through `raw`; the rest are names of pydantic's own."""
    if raw is None:
        return tuple(map(str, location))
    path: list[str] = []
    for part in location:
        known = part in raw if isinstance(raw, dict) else isinstance(raw, list) and part in range(len(raw))
        if known:
            path.append(str(part))
            raw = raw[part]
    return tuple(path)


def shown(value: Any) -> str:
    """A value as a message repeats it: short, and without a password."""
    text = PASSWORD.sub(r"\1***@", repr(value))
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def visible(text: str) -> str:
    """Text of one line without control characters: pydantic repeats some values as they are."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def written(path: Path, levels: dict[str, Any], absent: bool) -> str:
    """The level that a path was written in: the last of `levels` (the later ones on top) that has it, or most of it.

    What nobody wrote should stand in the first one.
    """
    depths = {name: depth(path, level) for name, level in levels.items()}
    most = max(depths.values())
    if absent and not most:
        return next(iter(levels))
    return next(name for name in reversed(levels) if depths[name] == most)


def depth(path: Path, raw: Any) -> int:
    """How many parts of the path lead through `raw`."""
    return len(typed(path, raw)) if not (path and isinstance(raw, dict) and path[0] not in raw) else 0


def few(found: list[str]) -> str:
    """Lines as one text: ten at most, then how many more there are."""
    return "\n".join(found if len(found) <= MOST else [*found[: MOST - 1], f"and {len(found) - MOST + 1} more faults"])


def lines(found: Iterable[tuple[str, str]]) -> list[str]:
    """(line, run) -> each line once, with the first runs that it was found in."""
    by_line: dict[str, list[str]] = {}
    for line, run in found:
        by_line.setdefault(line, []).append(run)
    return [line if line.startswith(f"runs.{runs[0]}.") else f"{line}{among(runs)}" for line, runs in by_line.items()]


def among(runs: list[str], most: int = 3) -> str:
    """' (run a; runs a, b, c and 4 more)'."""
    more = f" and {len(runs) - most} more" if len(runs) > most else ""
    return f" (in {'runs' if len(runs) > 1 else 'run'} {', '.join(runs[:most])}{more})"


def valid_names(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """Field names of the one model that `path` leads to from `model`; empty when several are possible."""
    candidates = [model]
    for part in path:
        inner = [
            m for c in candidates if part in c.model_fields for m in models_in(c.model_fields[str(part)].annotation)
        ]
        tagged = [c for c in candidates if part in tags(c)]
        candidates = inner or tagged or candidates  # else an index or a free key
    return sorted(candidates[0].model_fields) if len(candidates) == 1 else []


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """All models inside an annotation, through unions, lists, dicts and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for argument in get_args(annotation) for m in models_in(argument)]


def tags(model: type[BaseModel]) -> set[Any]:
    """Literal values by which a union tells its members apart."""
    return {v for field in model.model_fields.values() for v in get_args(field.annotation)}
