"""One run at a glance: its complete configuration as YAML, each value with the place that it comes from."""

from pathlib import Path
from typing import Any

import yaml

from covidqu.config.params import Params
from covidqu.config.reading import content


def shown(params: Params, files: list[Path], name: str) -> str:
    """The text for one training; ValueError for an unknown one. `files`: the parameter files, later ones on top."""
    config, base = params.run(name).model_dump(mode="json"), params.base(name)
    levels = [f"runs.{base}", f"systems.{config['model']['system']}", "anchor"]
    contents = [(file, content(file)) for file in files]

    def source(path: tuple[str, ...]) -> str:
        if path == ("model", "system"):
            return f"runs.{base}.system"
        for level in levels:
            for file, found in reversed(contents):
                if has(found, (*level.split("."), *path)) or (
                    path == ("seed",) and has(found, (*level.split("."), "seeds"))
                ):
                    return level if file == files[0] else f"{level} ({file})"
        return "default"

    return f"# {name}\n" + "".join(lines(config, (), source))


def lines(node: dict[str, Any], path: tuple[str, ...], source: Any) -> list[str]:
    """YAML lines of a mapping, nested ones indented; `source`: path -> the comment behind its value."""
    found, indent = [], "  " * len(path)
    for key, value in node.items():
        if isinstance(value, dict) and value:
            found += [f"{indent}{key}:\n", *lines(value, (*path, key), source)]
            continue
        listed = isinstance(value, list) and value and isinstance(value[0], dict)
        found.append(f"{indent}{key}:{'' if listed else ' ' + flow(value)}  # {source((*path, key))}\n")
        found += [f"{indent}  - {flow(item)}\n" for item in value] if listed else []
    return found


def flow(value: Any) -> str:
    """A value as YAML in one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False).removesuffix("...\n").strip()


def has(node: Any, path: tuple[str, ...]) -> bool:
    """Whether nested mappings have this path."""
    for part in path:
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True
