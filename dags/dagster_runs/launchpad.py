"""Shows a configuration's model in Dagster's launchpad: its fields, their words and defaults, enums to be completed."""

from __future__ import annotations

from datetime import date
from enum import Enum as PythonEnum
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from dagster import Any as AnyValue
from dagster import ConfigMapping, Enum, EnumValue, Field, Noneable

from dags.domain.given import EMPTY_IS_NONE, Given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class WholeConfig(ConfigMapping):
    """Takes a configuration as it was handed in, for the model that reads it says all that is wrong with it at once.

    Dagster's own check, by the schema, would stop at the first kind of mistake. The launchpad makes it before a run is
    launched, at the place in the text.
    """

    def resolve_from_unvalidated_config(self, config: Any) -> Any:  # noqa: ANN401 -- whatever a person gave
        return self.config_fn(config)


def launchpad_fields(model: type[Given], known: Mapping[str, Sequence[str]] = MappingProxyType({})) -> dict[str, Field]:
    """The schema of a model. ``known``: of a field that takes a name, the names there are, which are completed then.

    Texts are plain texts: Dagster's own `Config` would take the name of an environment variable in place of each, and
    whoever may launch a run could read a secret with it.
    """
    return {
        name: Field(
            _names(name, tuple(known[name])) if name in known else _shown(field.annotation),
            description=field.description,
            **_default(field.default, field),
        )
        for name, field in model.model_fields.items()
    }


def _default(value: Any, field: Any) -> dict[str, Any]:  # noqa: ANN401 -- pydantic's own
    if field.is_required():
        return {}
    if EMPTY_IS_NONE in field.metadata:
        # The launchpad writes no field down whose default is nothing, and a person would not know of it.
        return {"default_value": ""}
    return {"default_value": list(value) if isinstance(value, tuple) else getattr(value, "value", value)}


def _shown(annotation: Any) -> Any:  # noqa: ANN401 -- Dagster takes types, lists of types and its own
    if get_origin(annotation) is Annotated:
        return _shown(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return [_shown(get_args(annotation)[0])]
    if type(None) in get_args(annotation):
        rest = [one for one in get_args(annotation) if one is not type(None)]
        if len(rest) > 1:
            return Noneable(AnyValue)  # a text, a number or a truth value
        inner = _shown(rest[0])
        return Noneable(_or_empty(inner) if isinstance(inner, Enum) else inner)
    return _shown_plain(annotation)


def _shown_plain(annotation: type) -> Any:  # noqa: ANN401 -- as above
    if issubclass(annotation, Given):
        return launchpad_fields(annotation)
    if issubclass(annotation, PythonEnum):
        return _values(annotation)
    return str if issubclass(annotation, date) else annotation


@cache
def _values(members: type[PythonEnum]) -> Enum:
    """A person writes a member's value; Dagster's own conversion would take its name for a default."""
    return Enum(members.__name__, [EnumValue(str(one.value)) for one in members])


@cache
def _names(field: str, names: tuple[str, ...]) -> Enum:
    """Empty is what a field is that was left as the launchpad wrote it down."""
    return Enum(f"{field}_of_{'_'.join(names)}", [*map(EnumValue, names), EnumValue("")])


@cache
def _or_empty(values: Enum) -> Enum:
    return Enum(f"{values.given_name}OrEmpty", [*values.enum_values, EnumValue("", description="all")])
