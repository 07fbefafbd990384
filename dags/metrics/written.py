"""Writes a file that somebody else reads at any moment: whole, or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Collectors run as users of their own.
READABLE = 0o644

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _nothing() -> None:
    """What is there is ours."""


def write_whole(path: Path, text: str, *, is_for_all: bool = True, check: Callable[[], None] = _nothing) -> None:
    """Put ``text`` where ``path`` is: a reader sees the old text or the new one, whoever writes at the same time.

    ``is_for_all``: users of all kinds may read it, whatever this process's mask leaves them. ``check`` is called when
    all is written and nothing is replaced yet; what it raises leaves what is there.

    Raises:
        OSError: it could not be written; what was there is as it was.
    """
    # Hidden, and without the name's ending, so that a collector of `*.prom` passes it by.
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(os.open(part, _NEW, READABLE), "w", encoding="utf-8") as file:
            file.write(text)
            if is_for_all:
                os.fchmod(file.fileno(), READABLE)
            file.flush()
            os.fsync(file.fileno())
        check()
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
