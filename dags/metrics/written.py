"""Writes a file that somebody else reads at any moment: whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

# Collectors run as users of their own.
READABLE = 0o644


def write_whole(path: Path, text: str) -> None:
    """Put ``text`` where ``path`` is: a reader sees the old text or the new one, whoever writes at the same time.

    Raises:
        OSError: it could not be written; what was there is as it was.
    """
    # Hidden, and without the name's ending, so that a collector of `*.prom` passes it by.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), READABLE)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
