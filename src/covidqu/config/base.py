"""Base of every configuration model: strict, immutable, numbers that are numbers."""

from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# DVC's run cache does not see a change of a parameter with one of these names under a listed parent
# (treeverse/dvc#10296): an old output would be restored under a new value.
FORBIDDEN_NAMES = ("size", "nfiles")


class Strict(BaseModel):
    """A frozen model that refuses unknown keys, NaN, infinity, and true or false where a number is wanted."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        bad = [name for name in cls.model_fields if name in FORBIDDEN_NAMES]
        assert not bad, f"{cls.__name__}: {bad} are names that DVC's run cache ignores (treeverse/dvc#10296)"

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, raw: Any) -> Any:
        for name, field in cls.model_fields.items() if isinstance(raw, dict) else ():
            wanted = types_in(field.annotation)
            if wanted <= {int, float, str, type(None)} and wanted & {int, float} and has_truth(raw.get(name)):
                raise ValueError(f"{name}: a number is wanted, neither true nor false")
        return raw


def types_in(annotation: Any) -> set[type]:
    """The classes inside an annotation, through unions, lists, dicts and Annotated."""
    if isinstance(annotation, type) and not get_args(annotation):
        return {annotation}
    return {found for argument in get_args(annotation) for found in types_in(argument)}


def has_truth(value: Any) -> bool:
    """Whether true or false stands somewhere inside."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, bool) or any(map(has_truth, inner))


def no_repeats(values: Any) -> Any:
    """ValueError for a list that names something twice."""
    if isinstance(values, list) and len(set(map(repr, values))) < len(values):
        raise ValueError("something stands there twice; keep one of each")
    return values


Once = BeforeValidator(no_repeats)  # of a list
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what every generator takes
