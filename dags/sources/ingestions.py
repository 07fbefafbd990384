"""What is declared of files that late data comes from: where they are, how they are read, when, and how many at once.

What is refused is named by its place and never repeated, for an address may bring a password or a signature. What
contradicts itself across fields is looked for in the document as it was read: `contradictions`.

Pure: no clock, no database, no Dagster. Whether there are such files is judged elsewhere, and so is a pattern's syntax.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dags.domain.days import FIRST_DAY, LAST_DAY, validated_day
from dags.sources.cron import is_cron
from dags.sources.formats import FormatName, column_problems, completed
from dags.sources.parts import (
    Constants,
    Declared,
    Identifier,
    Name,
    TimeZone,
    constant_uuid,
    entries_that,
    given_otherwise,
    is_identifier,
    mapping,
    numbered_parts,
    repeated,
    text_that,
    unexpected,
    without_required,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Words for schedules. Chosen: by an hour after midnight whoever writes files by the day has ended the day before.
SCHEDULES = {"hourly": "0 * * * *", "daily": "0 1 * * *", "weekly": "0 1 * * 1"}

# Of a path and of a pattern. An object's key has at most 1,024 bytes.
MAX_PATH = 1000

# A column of a file has no limit of its own; a longer one is something else that was pasted.
MAX_COLUMN_BYTES = 255

MAX_FILES = 100_000

# Dagster's metadata holds no larger whole number.
MAX_RUN_BYTES = 2**63 - 1

# An AWS key has 20 letters and digits and its secret 40, one of Google 24 or more: they pass for names of variables.
_MAX_WORD = 19

_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_BYTES = re.compile(r"([0-9]{1,19})(|KB|MB|GB|TB)")

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOST = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_AUTHORITIES = {"s3": _BUCKET, "gs": _BUCKET, "http": _HOST, "https": _HOST}

_GLOB = frozenset("*?{}[]")
_QUERY = re.compile(r"[?#]")


def _is_column(text: str) -> bool:
    # An address is no name; what is accepted is named in answers.
    return text.isprintable() and 0 < len(text.encode()) <= MAX_COLUMN_BYTES and "://" not in text


def _is_variable(text: str) -> bool:
    return is_identifier(text) and ("_" in text or len(text) <= _MAX_WORD)


def _is_directory(path: str) -> bool:
    return path.startswith("/")


def _as_path(path: str) -> str:
    if problems := list(_wrong_with(path)):
        raise unexpected("; ".join(problems))
    return path


def _wrong_with(path: str) -> Iterator[str]:
    """All that a path cannot be, each as what to do about it and without a word of it."""
    if len(path) > MAX_PATH or not path.isprintable():
        yield f"give at most {MAX_PATH:,} characters, none of them a control character"
    scheme, separator, rest = path.partition("://")
    if _is_directory(path) or not separator:
        # Without the slash in front of a directory, whose first segment is then that of a key.
        key = path.removeprefix("/")
        is_known = _is_directory(path)
    else:
        address, *queries = _QUERY.split(rest)
        if queries:
            yield "leave out '?' and '#' with what follows them, no query or fragment belongs here"
        authority, _, key = address.partition("/")
        if "@" in authority:
            yield (
                "leave out the user and the password: give a named_collection, or access_key_env and secret_key_env, "
                "which name variables"
            )
        # In whatever way they are written, for some readers of addresses decode them.
        key = unquote(key)
        pattern = _AUTHORITIES.get(scheme)
        is_known = pattern is not None and bool(pattern.fullmatch(authority.rpartition("@")[2]))
        is_known = is_known and (pattern is not _HOST or key.strip("/") != "")
        path = address
    if not is_known:
        yield "give s3://bucket/…/, gs://bucket/…/, http(s)://host/bucket/…/, or an absolute directory"
    if not path.endswith("/"):
        yield "end it with '/'"
    if "//" in f"/{key}" or {".", ".."} & set(key.split("/")):
        yield "leave out '.' and '..', and one of two '/' in a row"
    if _GLOB & set(key):
        yield "leave out * ? { } [ ], for a choice of files belongs in source_file_pattern"


def _as_day(given: object) -> object:
    if isinstance(given, str):
        try:
            return validated_day(given)
        except ValueError:
            raise unexpected(f"give a day as YYYY-MM-DD, from {FIRST_DAY} to {LAST_DAY}") from None
    return given


def _as_bytes(given: object) -> object:
    if isinstance(given, str):
        if (found := _BYTES.fullmatch(given)) is None:
            raise unexpected(
                "give a whole number of bytes, alone or with KB, MB, GB or TB right after it, such as 50GB"
            )
        return int(found[1]) * _UNITS[found[2]]
    return given


Path = Annotated[str, AfterValidator(_as_path)]
Pattern = Annotated[
    str, text_that(lambda text: 0 < len(text) <= MAX_PATH, f"give a pattern of 1 to {MAX_PATH:,} characters")
]
KeyVariable = Annotated[
    str,
    text_that(
        _is_variable,
        "give the name of the environment variable that holds the key, and not the key itself: letters, digits and "
        f"'_', no digit first, with a '_' where it is longer than {_MAX_WORD} characters",
    ),
]
Schedule = Annotated[
    str,
    text_that(
        lambda text: text in SCHEDULES or is_cron(text),
        f"give {', '.join(SCHEDULES)} or five fields of cron, such as 15 */6 * * *",
    ),
]
Day = Annotated[date, BeforeValidator(_as_day)]
Bytes = Annotated[int, BeforeValidator(_as_bytes), Field(ge=1, le=MAX_RUN_BYTES)]


class Ingestion(Declared):
    """Files of one place and one format: which they are, what becomes of their columns, and when they are looked for.

    ``since`` and ``until``, which a document calls ``from`` and ``until``, are the first and the last day, both in it;
    a file's day is what its path says, or when it was last modified (``dated_by``). ``columns`` maps the target's
    columns to the files', by the names that these have there or that the format gives them (`.formats`).
    ``time_zone`` is what a time without one is read in. ``schema_changes`` says what becomes of columns that files have
    anew, and of older files when the mapping changes. A run takes no more than ``max_files_per_run`` files and
    ``max_bytes_per_run`` bytes, as they are stored.
    """

    name: Name
    status: Literal["DRAFT", "ACTIVE", "PAUSED"] = "ACTIVE"
    source_path: Path
    named_collection: Identifier | None = None
    access_key_env: KeyVariable | None = None
    secret_key_env: KeyVariable | None = None
    source_file_pattern: Pattern
    format: FormatName
    into: Literal["events"] = "events"
    columns: Annotated[dict[str, str], entries_that(_is_column, "its value is the name of a column of the files")] = (
        Field(default_factory=dict)
    )
    constants: Constants = Field(default_factory=dict)
    time_zone: TimeZone = "UTC"
    since: Day | None = Field(default=None, alias="from")
    until: Day | None = None
    dated_by: Literal["path", "time"] = "path"
    schedule: Schedule | None = None
    schedule_time_zone: TimeZone = "UTC"
    schema_changes: Literal["manual", "auto_merge", "backfill", "ignore"] = "manual"
    max_files_per_run: Annotated[int, Field(ge=1, le=MAX_FILES)] = 500
    max_bytes_per_run: Bytes = 50 * 10**9
    cost_usd_per_gb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.25

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, given: object) -> object:
        return completed(given)

    @property
    def is_directory(self) -> bool:
        """Whether the files are in a directory, and in no bucket."""
        return _is_directory(self.source_path)

    @property
    def cron(self) -> str | None:
        """The schedule as five fields, whatever the status; None where none is declared."""
        return None if self.schedule is None else SCHEDULES.get(self.schedule, self.schedule)


def contradictions(given: object) -> Iterator[str]:
    """What no field of an ingestion is wrong about by itself, each with its place in the document."""
    parts = numbered_parts(given, "ingestions")
    yield from repeated(
        parts,
        _known_as,
        "Give each a name of its own, in which '-', '_' and capitals make no difference: tables are named after it",
    )
    for place, ingestion in parts:
        for judge in (_of_access, _of_days, _of_columns):
            yield from (f"{place}{problem}" for problem in judge(ingestion))


def _known_as(ingestion: dict[str, Any]) -> str | None:
    name = ingestion.get("name")
    return name.lower().replace("-", "_") if isinstance(name, str) else None


def _of_access(ingestion: dict[str, Any]) -> Iterator[str]:
    path = ingestion.get("source_path")
    keys = [one for one in ("access_key_env", "secret_key_env") if ingestion.get(one) is not None]
    collection = [one for one in ("named_collection",) if ingestion.get(one) is not None]
    if isinstance(path, str) and _is_directory(path):
        if collection or keys:
            yield f": a directory is read without {', '.join(collection + keys)}. Leave that out"
    elif collection and keys:
        yield ": give either named_collection, or access_key_env and secret_key_env"
    elif len(keys) == 1:
        [other] = {"access_key_env", "secret_key_env"} - set(keys)
        yield f".{other} is missing: {keys[0]} is given, and is of no use alone"


def _of_days(ingestion: dict[str, Any]) -> Iterator[str]:
    first, last = (_day(ingestion.get(one)) for one in ("from", "until"))
    if first is not None and last is not None and first > last:
        yield ".from: it is after until. Give the first day, and in until the last, which may be the same"
    has_days = ingestion.get("from") is not None or ingestion.get("until") is not None
    if ingestion.get("dated_by") is not None and not has_days:
        yield ".dated_by: it says by what files are in a range of days. Give from or until, or leave it out"


def _day(given: object) -> date | None:
    try:
        return validated_day(given) if isinstance(given, str) else None
    except ValueError:
        return None  # it has been said of the field


def _of_columns(ingestion: dict[str, Any]) -> Iterator[str]:
    yield from column_problems(ingestion)
    whole = mapping(completed(ingestion))
    columns, constants = mapping(whole.get("columns")), mapping(whole.get("constants"))
    yield from without_required(columns, constants)
    yield from constant_uuid(constants)
    yield from given_otherwise(columns, constants)
