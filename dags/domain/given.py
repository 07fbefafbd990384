"""What a person hands in as a job's configuration: a model says each field once, with its type, limits and words.

Pure: no clock, no database, no Dagster. Everything that is wrong is said at once, each by its field, its value, what is
expected. So whoever knows more than a model does, such as which teams there are, reads what is usable of the rest and
says that too.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import date
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from dags.domain.days import validated_day
from dags.domain.errors import UserError
from dags.domain.given_text import text_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Given(BaseModel):
    """The fields of a configuration. Nothing else is accepted, and no number for a text or a text for a number."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)


Model = TypeVar("Model", bound=Given)


class Nothing(Given):
    """No field at all."""


class Output(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


# Validators of ours say the whole line, the field's name in it; others are put into words by `_in_words`.
_OURS = "ours"


def _ours(words: str) -> PydanticCustomError:
    return PydanticCustomError(_OURS, "{words}", {"words": words})


def _as_text(value: str, info: ValidationInfo) -> str:
    if problems := text_problems({str(info.field_name): value}):
        raise _ours("\n".join(problems))
    return value.strip()


def _as_words(value: str, info: ValidationInfo) -> str:
    name = str(info.field_name)
    if problems := text_problems({name: value}, required=(name,)):
        raise _ours("\n".join(problems))
    return value.strip()


def _as_day(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str):
        return value
    try:
        return validated_day(value)
    except ValueError as error:
        raise _ours(f"{info.field_name} is {value!r}: {error}") from None


def _as_days(values: object, info: ValidationInfo) -> object:
    days, problems = [], []
    for value in values if isinstance(values, list) else []:
        try:
            days.append(validated_day(str(value)))
        except ValueError as error:
            problems.append(f"{info.field_name} has {value!r}: {error}")
    if problems:
        raise _ours("\n".join(problems))
    return tuple(days) if isinstance(values, list) else values


def _as_teams(values: object, info: ValidationInfo) -> object:
    if not isinstance(values, list):
        return values
    if bad := [team for team in values if type(team) is not int or not 0 < team < 2**64]:
        raise _ours(f"{info.field_name} has {bad}: give whole numbers above 0")
    return tuple(values)


def _as_texts(values: object, info: ValidationInfo) -> object:
    if not isinstance(values, list):
        return values
    if bad := [number for number, one in enumerate(values, start=1) if not isinstance(one, str) or not one]:
        raise _ours(f"{info.field_name}, number {', '.join(map(str, bad))}: give a text that is not empty")
    return tuple(values)


def _or_none(value: object) -> object:
    return None if value == "" else value


def parts(model: type[Given]) -> BeforeValidator:
    """Before a field that is a list of parts, each with fields of its own: what is wrong with each, by its place."""

    def checked(values: object, info: ValidationInfo) -> object:
        if not isinstance(values, list):
            return values
        found, problems = [], []
        for number, value in enumerate(values, start=1):
            one = read(model, value if isinstance(value, dict) else {"": value})
            problems += [f"{info.field_name}, number {number}: {problem}" for problem in one.problems]
            found.append(one.whole)
        if problems:
            raise _ours("\n".join(problems))
        return tuple(found)

    return BeforeValidator(checked)


# A text that is kept and shown, in one line; stripped. `Words` may not be empty.
Text = Annotated[str, AfterValidator(_as_text)]
Words = Annotated[str, AfterValidator(_as_words)]

# A partition key, such as 2026-01-02.
Day = Annotated[date, BeforeValidator(_as_day)]
Days = Annotated[tuple[date, ...], BeforeValidator(_as_days)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_texts)]
TeamIds = Annotated[tuple[int, ...], BeforeValidator(_as_teams)]

# Before an optional field's type: the launchpad writes an empty text where nothing is meant.
EMPTY_IS_NONE = BeforeValidator(_or_none)


def choice(default: Any, description: str) -> Any:  # noqa: ANN401 -- pydantic's own type
    """A field whose type is an enum; a person writes the member's value."""
    return Field(default=default, description=description, strict=False)


def whole(default: int, lowest: int, highest: int, unit: str, description: str) -> Any:  # noqa: ANN401 -- as above
    """A field for a whole number of something."""
    return Field(default=default, ge=lowest, le=highest, description=description, json_schema_extra={"unit": unit})


@dataclass(frozen=True)
class Read(Generic[Model]):
    """What was read of a configuration.

    ``usable`` has the fields that are as they should be, defaults among them. ``problems`` are lines that say of each
    of the others why it is refused.
    """

    whole: Model | None
    usable: Mapping[str, Any]
    problems: tuple[str, ...]

    def required(self) -> Model:
        """Raises: UserError: every violation, each on a line of its own."""
        if self.whole is None:
            raise UserError("refused, nothing was touched:\n" + "\n".join(self.problems))
        return self.whole


def read(model: type[Model], given: Mapping[str, Any]) -> Read[Model]:
    """What is usable of a configuration, and what is wrong with it."""
    try:
        whole = model.model_validate(dict(given))
    except ValidationError as error:
        words: dict[str, str] = {}
        for one in error.errors(include_url=False):
            words.setdefault(str(one["loc"][0]), _in_words(model, one))
    else:
        return Read(whole, dict(whole), ())
    fields = {name: (field.annotation, field) for name, field in model.model_fields.items() if name not in words}
    rest: Any = create_model("Rest", __base__=Given, **fields)  # type: ignore[call-overload]
    usable = dict(rest.model_validate({name: value for name, value in given.items() if name in fields}))
    in_order = sorted(words, key=[*model.model_fields, *words].index)
    return Read(None, usable, tuple(words[name] for name in in_order))


def _in_words(model: type[Given], problem: Any) -> str:  # noqa: ANN401 -- pydantic's own dictionary
    name, kind = str(problem["loc"][0]), problem["type"]
    if kind == _OURS:
        return str(problem["msg"])
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(name, model.model_fields, n=1)
        there = ", ".join(model.model_fields) or "none"
        return f"{name} is no field: {f'did you mean {close[0]}?' if close else f'there may be {there}'}"
    field = model.model_fields[name]
    if kind == "missing":
        return f"{name} is missing: {field.description}"
    return f"{name} is {repr(problem['input'])[:200]}: give {_expected(field)}"


def _expected(field: FieldInfo) -> str:
    annotation, limits = _taken_apart(field.annotation, field.metadata)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(one.value) for one in annotation)}"
    if annotation is int:
        ends = [getattr(one, end) for end in ("ge", "le") for one in limits if hasattr(one, end)]
        extra = field.json_schema_extra
        number = f"a whole number of {extra['unit']}" if isinstance(extra, dict) else "a whole number"
        return f"{number} from {ends[0]} to {ends[1]:,}" if ends[1:] else number
    return _WORDS.get(annotation, "a list")


_WORDS: Mapping[Any, str] = {bool: "true or false", str: "a text", date: "a day, YYYY-MM-DD"}


def _taken_apart(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, list[Any]]:  # noqa: ANN401 -- any type there is
    """The type alone, of one that may be optional, and all that is said of it."""
    limits = [inner for one in metadata for inner in (one.metadata if isinstance(one, FieldInfo) else [one])]
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        inner, its = _taken_apart(inner, more)
        return inner, [*limits, *its]
    if type(None) in get_args(annotation):
        inner, its = _taken_apart(next(one for one in get_args(annotation) if one is not type(None)), ())
        return inner, [*limits, *its]
    return annotation, limits
