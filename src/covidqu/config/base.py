"""Base of every configuration model: strict, immutable, and plain in its errors."""

from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

# DVC's run cache does not see a change of a parameter with one of these names under a listed parent
# (treeverse/dvc#10296): an old output would be restored under a new value.
FORBIDDEN_NAMES = ("size", "nfiles")


class Strict(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        bad = [name for name in cls.model_fields if name in FORBIDDEN_NAMES]
        assert not bad, f"{cls.__name__}: {bad} are names that DVC's run cache ignores (treeverse/dvc#10296)"


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """One line per fault: the key's path, what is wrong, what would be right."""
    lines = []
    for fault in error.errors():
        path = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            valid = valid_names(model, fault["loc"][:-1])
            lines.append(f"{path}: unknown key" + (f"; valid here: {', '.join(valid)}" if valid else ""))
        elif fault["type"] == "missing":
            lines.append(f"{path}: required key is missing")
        elif not path:  # a check of several keys, whose message names them
            lines.append(fault["msg"].removeprefix("Value error, "))
        else:
            lines.append(f"{path}: {fault['msg'].removeprefix('Value error, ')} (got {fault['input']!r})")
    return "\n".join(lines)


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
