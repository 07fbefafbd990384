"""The file that a page is written to, which others may read while it is: whole at any moment, the old one or the new.

Whoever may launch a run, over GraphQL too, names it. So it ends in ``.html``, and what is there is written over only if
it is such a page: no other file can be lost by that, whatever path is given.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dags.domain.errors import UserError
from dags.metrics.written import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".html"

# By which a page is known again.
MARK = "<!doctype html>\n<!-- written by health_job -->\n"


@dataclass(frozen=True)
class PageFile:
    """Where pages, which begin with `MARK`, are written to."""

    path: Path

    @classmethod
    def at(cls, given: str) -> PageFile:
        """The file at an absolute path, once it is sure that it can be written.

        Raises:
            UserError: no absolute path that ends in ``.html``; its directory is not there or cannot be written; or
                something else than a page is there.
        """
        path = Path(given)
        if not path.is_absolute() or not given.endswith(SUFFIX) or path.name == SUFFIX:
            raise _refused(given, f"give an absolute path that ends in {SUFFIX}, such as $PWD/health.html in a shell")
        if not path.parent.is_dir():
            raise _refused(given, f"{path.parent} is no directory: make it, or name another")
        file = cls(path)
        file._refuse_others()
        with _words(given):  # rights say less: a disk may be read-only, or full
            tempfile.NamedTemporaryFile(dir=path.parent).close()
        return file

    def save(self, text: str) -> None:
        """Put a page in the place of the one that is there, if any.

        Raises:
            UserError: it cannot be written, or something else has got there since.
        """
        with _words(str(self.path)):
            write_whole(self.path, text, is_for_all=False, check=self._refuse_others)

    def _refuse_others(self) -> None:
        """Raises: UserError: something is there that no run of this has written."""
        with _words(str(self.path)):
            try:
                # Without waiting: what stands there may be a pipe.
                handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                return
            with os.fdopen(handle, "rb") as opened:
                is_file = stat.S_ISREG(os.fstat(opened.fileno()).st_mode)
                if is_file and opened.read(len(MARK)) == MARK.encode():
                    return
        raise _refused(str(self.path), "something else than a page of health_job is there: name another file")


def _refused(given: str, why: str) -> UserError:
    return UserError(f"save_page_to is {given!r}: {why}")


@contextmanager
def _words(given: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = "it is a symbolic link" if error.errno == errno.ELOOP else f"{error.strerror}"
        raise _refused(given, f"it cannot be written: {why}. Name another file") from None
