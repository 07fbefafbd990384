"""Reads a YAML document that somebody hands in, and is not harmed by it.

A small part of YAML: mappings, lists and scalars, which stay text until the model that they are for makes a number or
a date of them. No aliases, anchors or tags, because a few lines of them stand for more than memory holds; no key
twice, because the second would silently win; no nesting beyond what our documents have. What is refused is named by its
line and never repeated: the file may be another than was meant, and hold a secret.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic
import yaml
from pydantic import BaseModel

from dags.domain.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError

# A plan for 20,000 teams, all named on each of 30 days, has 5 MB.
MAX_BYTES = 10_000_000

# A plan's deepest value: chunks, a chunk, team_ids_by_day, a day, an id.
MAX_DEPTH = 8

# libyaml's parser reads 10 MB in seconds where the one in Python takes minutes; both give the same events.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Of all mappings together: ten years of chunks of a day each have half of it.
MAX_KEYS = 100_000

# More violations are not worth a list: the document is another than was meant.
MAX_VIOLATIONS = 100

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_EMPTY = ("", "~", "null", "Null", "NULL")
_NO_KEY = object()

Document = TypeVar("Document", bound=BaseModel)


@dataclass(frozen=True)
class Sort:
    """What documents of a sort are called when one is refused, and what to give in its place, as a sentence."""

    noun: str
    advice: str

    @property
    def advice_begun(self) -> str:
        """The advice at the beginning of a sentence."""
        return self.advice[0].upper() + self.advice[1:]


PLAN = Sort("plan", "give what a dry run printed, edited or not")


def parsed(text: str, sort: Sort = PLAN) -> dict[str, Any]:
    """The mapping that a document is, its scalars as text; an empty or ``null`` one is None.

    Raises:
        UserError: it is no such document; the message has the line and none of the contents.
    """
    try:
        found = _built(text, sort.noun)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise UserError(f"the {sort.noun} is no YAML: line {line} cannot be read. {sort.advice_begun}") from None
    except (yaml.YAMLError, UnicodeError):
        raise UserError(f"the {sort.noun} holds characters that no YAML has. {sort.advice_begun}") from None
    if not isinstance(found, dict):
        raise UserError(f"the {sort.noun} is no mapping: {sort.advice}")
    return found


def as_yaml(plan: BaseModel) -> str:
    """The document that a plan is."""
    text: str = yaml.safe_dump(
        plan.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )
    return text


def from_yaml(text: str, model: type[Document], parts: Mapping[str, type[BaseModel]]) -> Document:
    """The plan that a document holds; ``parts`` as in `violations`.

    Raises:
        UserError: every violation at once, each with its place in the document.
    """
    try:
        return model.model_validate(parsed(text))
    except pydantic.ValidationError as error:
        raise UserError(
            "the plan cannot be read, nothing was touched:\n" + "\n".join(violations(error, parts))
        ) from None


def require_size(name: str, size: int, sort: Sort = PLAN) -> None:
    """Raises: UserError: so many bytes are more than any document of that sort has."""
    if size > MAX_BYTES:
        raise UserError(f"{name} has {size:,} bytes: a {sort.noun} has at most {MAX_BYTES:,}")


def violations(error: ValidationError, parts: Mapping[str, type[BaseModel]], sort: Sort = PLAN) -> list[str]:
    """What a model does not accept, each with its place and with what is expected there; never what was found.

    ``parts``: the models within the document by the field that holds them, the whole by "". Fields that no model has
    are counted and not named, for their names are contents too.
    """
    if (count := error.error_count()) > MAX_VIOLATIONS:
        return [f"{count:,} violations: this is no {sort.noun}. {sort.advice_begun}"]
    fields = {name for part in parts.values() for name in _fields(part)}

    def place(location: tuple[int | str, ...]) -> str:
        shown = [str(one) for one in location if one in fields or isinstance(one, int) or _DATE.fullmatch(one)]
        return ".".join(shown) or f"the {sort.noun}"

    unknown: Counter[tuple[int | str, ...]] = Counter()
    problems = []
    every = error.errors(include_input=False, include_url=False, include_context=False)
    for found in every:
        at = found["loc"]
        if found["type"] == "extra_forbidden":
            unknown[at[:-1]] += 1
        elif found["type"] == "missing":
            problems.append(f"{place(at)} is missing")
        elif found["type"] != "too_short":
            problems.append(f"{place(at)}: {found['msg']}")
        # A list of which nothing could be read counts as empty; what could not be read has been said.
        elif not any(other["loc"][: len(at)] == at != other["loc"] for other in every):
            problems.append(f"{place(at)} is empty: give at least one")
    for location, times in unknown.items():
        part = parts[next((one for one in reversed(location) if isinstance(one, str) and one in parts), "")]
        problems.append(
            f"{place(location)}: {times} unknown {'field' if times == 1 else 'fields'}; there may be "
            f"{', '.join(_fields(part))}"
        )
    return problems


def _fields(part: type[BaseModel]) -> list[str]:
    """What a document calls the fields of a model."""
    return [field.alias or name for name, field in part.model_fields.items()]


def _built(text: str, noun: str) -> object:
    tree = _Tree(noun)
    for event in yaml.parse(text, Loader=_LOADER):
        tree.take(event)
    if len(tree.root) > 1:
        raise UserError(f"the {noun} is {len(tree.root)} documents: give one")
    return tree.root[0] if tree.root else None


class _Tree:
    """The document as the parser's events come, without recursion, so that no nesting is too deep for it."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self.root: list[object] = []
        # Each open collection, and the key that waits for its value there; the root counts as a list.
        self._open: list[Any] = [self.root]
        self._keys: list[Any] = [_NO_KEY]
        self._count = 0

    def take(self, event: Any) -> None:  # noqa: ANN401 -- the stubs know less of events than they have
        line = (event.start_mark.line if event.start_mark is not None else 0) + 1
        if isinstance(event, yaml.NodeEvent):
            self._refuse(event, line)
        if isinstance(event, yaml.ScalarEvent):
            is_plain = event.implicit[0]
            self._put(None if is_plain and event.value in _EMPTY else event.value, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            begun: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            self._put(begun, line)
            self._open.append(begun)
            self._keys.append(_NO_KEY)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()

    def _refuse(self, event: Any, line: int) -> None:  # noqa: ANN401 -- as above
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"the {self._noun} has an alias in line {line}: write out what it stands for")
        if event.anchor is not None:
            raise UserError(f"the {self._noun} has an anchor in line {line}: leave it out")
        if event.tag is not None:
            raise UserError(f"the {self._noun} has a tag in line {line}: leave it out")
        if isinstance(event, yaml.CollectionStartEvent) and len(self._open) > MAX_DEPTH:
            raise UserError(
                f"the {self._noun} is nested deeper than {MAX_DEPTH} levels in line {line}: no {self._noun} is"
            )

    def _put(self, value: object, line: int) -> None:
        into = self._open[-1]
        if isinstance(into, list):
            into.append(value)
        elif self._keys[-1] is not _NO_KEY:
            into[self._keys[-1]] = value
            self._keys[-1] = _NO_KEY
        elif not isinstance(value, str):
            raise UserError(f"the {self._noun} has a key in line {line} that is no text")
        elif value in into:
            raise UserError(f"the {self._noun} has the key in line {line} a second time: leave one of the two")
        elif self._count == MAX_KEYS:
            raise UserError(f"the {self._noun} has more than {MAX_KEYS:,} keys: no {self._noun} has")
        else:
            self._keys[-1] = value
            self._count += 1
