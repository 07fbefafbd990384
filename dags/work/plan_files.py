"""The directory of plans: people name a plan in it, and reach no other file.

Whoever may launch a run, over GraphQL too, names these files; so a name is a name and no path, what is there is never
written over, and nothing is followed out of the directory.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dags.domain.errors import UserError
from dags.work.document import MAX_BYTES, require_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIX = ".yaml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def read_plan(directory: Path, name: str) -> str:
    """The text of a plan; ``.yaml`` may be left out of its name.

    Raises:
        UserError: the name is none, there is no such plan, or it is no plan's file.
    """
    file = _file_name("plan_file", name)
    with _words("plan_file", file, directory, "read"):
        # Without waiting: what stands there may be a pipe.
        handle = os.open(directory / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UserError(f"plan_file is {file!r}, which is no regular file in {directory}")
            require_size(f"plan_file {file!r}", found.st_size)
            content = opened.read(MAX_BYTES + 1)
    require_size(f"plan_file {file!r}", len(content))
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UserError(f"plan_file is {file!r}, which is no UTF-8 text: give what save_plan_to wrote") from None


def save_plan(directory: Path, name: str, text: str) -> Path:
    """Write a plan under a name that is not taken; ``.yaml`` may be left out of it. The directory is made if need be.

    Raises:
        UserError: the name is none or is taken, or the directory cannot be written.
    """
    file = _file_name("save_plan_to", name)
    path = directory / file
    with _words("save_plan_to", file, directory, "written"):
        directory.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: half a plan would hold the name, also that of who was killed while writing.
        part = directory / f".{secrets.token_hex(8)}.part"
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            os.link(part, path, follow_symlinks=False)  # which writes over nothing
        finally:
            with suppress(OSError):
                part.unlink()
    return path


def _file_name(field: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{field} is {name[:100]!r}: give a name of letters, digits, '.', '_' and '-', at most 100, and no path; "
            "plans are in the directory that WEB_ANALYTICS_BACKFILL_PLANS_DIRECTORY names"
        )
    return name if name.endswith(SUFFIX) else name + SUFFIX


@contextmanager
def _words(field: str, file: str, directory: Path, done: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise UserError(
            f"{field} is {file!r}, which {directory} has already: give another name, nothing is written over"
        ) from None
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise UserError(f"{field} is {file!r}, which cannot be {done} in {directory}: {why}") from None
