"""Reads the declaration of sources that the setting names, and the queries that lie beside it.

Whoever sets up the location names the file, so links are followed, as a mounted secret or a config map is made of them.
It is read without waiting, for what is there may be a pipe, and no further than such a file can be long.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from dags.domain.errors import SettingsError, UserError
from dags.sources.declaration import DECLARATION, VARIABLE, Sources, declared
from dags.work.document import Sort

if TYPE_CHECKING:
    from pathlib import Path

    from dags.settings import Settings

# A thousand tables of 30 columns each have less than a fifth of it.
MAX_BYTES = 5_000_000

# A statement of ours has it three times, and a server takes 128 KiB of a value.
MAX_QUERY_BYTES = 30_000

QUERY = Sort("declared query", "give one SELECT, in UTF-8")

_QUERY_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def read_sources(settings: Settings) -> Sources:
    """What the file declares that `WEB_ANALYTICS_SOURCES` names; nothing where that is unset.

    Raises:
        SettingsError: the file cannot be read, or what it declares cannot be; every violation at once, by its place.
    """
    if settings.sources is None:
        return Sources()
    text = _read(settings.sources, settings.sources, MAX_BYTES, DECLARATION)
    try:
        return declared(text)
    except UserError as error:
        raise SettingsError(
            f"{VARIABLE} is {str(settings.sources)!r}, which cannot be used, nothing was touched:\n{error}"
        ) from None


def read_query(settings: Settings, name: str) -> str:
    """The text of a declared query, as it is in `<name>.sql` beside the declaration; nobody has vetted it.

    Raises:
        SettingsError: there is none, or it cannot be read.
    """
    if settings.sources is None or not _QUERY_NAME.fullmatch(name):
        raise SettingsError(f"{name[:100]!r} is no declared query: let {VARIABLE} name a file that declares it")
    return _read(settings.sources.parent / f"{name}.sql", settings.sources, MAX_QUERY_BYTES, QUERY)


def _read(path: Path, named: Path, limit: int, sort: Sort) -> str:
    words = f"{VARIABLE} is {str(named)!r}"
    if path != named:
        words += f", whose {sort.noun} {str(path)!r}"
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(handle, "rb") as opened:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise SettingsError(f"{words}, which is no regular file: let it be the {sort.noun}")
            content = opened.read(limit + 1)
    except OSError as error:
        raise SettingsError(
            f"{words}, which cannot be read: {error.strerror}. Let it name a file that this user may read"
        ) from None
    if len(content) > limit:
        raise SettingsError(f"{words}, which is larger than {limit:,} bytes: no {sort.noun} is")
    try:
        return content.decode("utf-8-sig")  # some editors put a mark before the first character
    except UnicodeDecodeError:
        raise SettingsError(f"{words}, which is no UTF-8 text: {sort.advice}") from None
