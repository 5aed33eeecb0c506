"""Parameter files for tests."""

from typing import Any

import yaml


class Plain(yaml.SafeDumper):
    """Writes what is shared twice: parameter files have no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def text(settings: dict[str, Any]) -> str:
    """Settings as a parameter file has them."""
    return yaml.dump(settings, Dumper=Plain, sort_keys=False)
