"""What the texts of settings mean: each text becomes a value here, or is refused by pydantic's own error.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

# So many channels are told at once, each by a process of its own.
MAX_CHANNELS = 10

# The type of a problem whose words say which of several secrets it is of.
PLACES = "places"

# Whom Dagster takes for an owner of an asset, and nobody whom it would refuse.
_OWNER = re.compile(r"team:[\w.-]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}")


class TeamSource(StrEnum):
    """Where enabled teams come from."""

    ENVIRONMENT = "environment"
    TABLE = "table"
    TOP_PAGEVIEWS = "top_pageviews"


class Priority(StrEnum):
    """Which days are repaired first when not all can be at once; see `dags.repair.priority`."""

    RECENT = "recent"
    VOLUME = "volume"
    INTERIOR = "interior"


def sources_of(value: object) -> tuple[TeamSource, ...]:
    names = tuple(part.strip() for part in str(value).split(",") if part.strip())
    if not names or set(names) - set(TeamSource) or len(set(names)) < len(names):
        raise PydanticCustomError("sources", "unknown, repeated or no source")
    return tuple(map(TeamSource, names))


def team_ids_of(value: object) -> tuple[int, ...]:
    parts = [part.strip() for part in str(value).split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 2**64 for part in parts):
        raise PydanticCustomError("ids", "not all are team ids")
    return tuple(sorted({int(part) for part in parts}))


def hosts_of(value: object) -> tuple[str, ...]:
    hosts = tuple(part.strip().lower() for part in str(value).split(",") if part.strip())
    if not all(re.fullmatch(r"[a-z0-9.-]+(:\d{1,5})?", host) for host in hosts):
        raise PydanticCustomError("hosts", "not all are host names")
    return hosts


def owners_of(value: object) -> tuple[str, ...]:
    owners = tuple(part.strip() for part in str(value).split(",") if part.strip())
    if not all(_OWNER.fullmatch(owner) for owner in owners):
        raise PydanticCustomError("owners", "not all are owners")
    return tuple(dict.fromkeys(owners))


def directory_of(value: object) -> Path:
    path = Path(str(value))
    if not path.is_absolute() or not str(path).isprintable():
        raise PydanticCustomError("directory", "no absolute path")
    return path


def file_of(value: object) -> Path:
    path = Path(str(value))
    if not path.is_absolute() or not str(path).isprintable() or not path.name:
        raise PydanticCustomError("file", "no absolute path")
    return path


def token_of(value: object) -> SecretStr:
    token = str(value)
    if not re.fullmatch(r"[!-~]{1,4096}", token):
        raise PydanticCustomError("token", "no token")
    return SecretStr(token)


def urls_of(value: object) -> tuple[SecretStr, ...]:
    urls = str(value).split()
    if len(urls) > MAX_CHANNELS:
        raise PydanticCustomError(PLACES, "{places} URLs", {"places": len(urls)})
    bad = [str(place) for place, url in enumerate(urls, start=1) if not re.fullmatch(r"[a-z][a-z0-9+]*://[!-~]+", url)]
    if bad:
        raise PydanticCustomError(PLACES, "number {places}", {"places": ", ".join(bad)})
    return tuple(map(SecretStr, urls))


def url_of(value: object) -> SecretStr:
    if not re.fullmatch(r"https?://[!-~]{1,4096}", str(value)):
        raise PydanticCustomError("url", "no URL")
    return SecretStr(str(value))


def weights_of(value: object) -> tuple[tuple[int, int], ...]:
    pairs = [part.strip().split(":") for part in str(value).split(",") if part.strip()]
    numbers = [one for pair in pairs for one in pair]
    are_pairs = all(len(pair) == 2 for pair in pairs)  # noqa: PLR2004 -- a pair
    if (
        not are_pairs
        or not all(one.isascii() and one.isdigit() for one in numbers)
        or any(int(t) < 1 for t, _ in pairs)
    ):
        raise PydanticCustomError("weights", "not all are team:weight")
    return tuple(sorted({int(team): int(weight) for team, weight in pairs}.items()))
