"""Jinja2 templates of this package to text; a name that a template uses and nobody gives is an error."""

from typing import Any

from huggingface_hub import CardData
from jinja2 import Environment, PackageLoader, StrictUndefined

ENVIRONMENT = Environment(
    loader=PackageLoader("covidqu.standards"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,  # Markdown
)


def render(template: str, **values: Any) -> str:
    """Text of `templates/{template}`."""
    return ENVIRONMENT.get_template(template).render(**values)


def card_text(data: CardData, template: str, **values: Any) -> str:
    """A card as the hub reads it: a YAML block, then Markdown."""
    return f"---\n{data.to_yaml()}\n---\n\n{render(template, **values)}"


def joined(value: Any) -> str:
    """A setting as a table shows it."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


ENVIRONMENT.filters["joined"] = joined
