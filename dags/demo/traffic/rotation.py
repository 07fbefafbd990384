"""Which files are one site's log: a log and what rotation made of it, by their names alone.

Rotation puts a number or a date to a name (``access.log.1``, ``access.log-20260102.gz``, ``access-2026-01-02.log``) or
into the directory (``2026/01/02/access.log``). What is left of the path without these names the log. A number with a
hyphen before the suffix is no rotation: ``site-1.log`` and ``site-2.log`` are two sites.

Pure.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

_PACKED = re.compile(r"\.(?:gz|bz2|xz|zst|zstd|gzip)$", re.IGNORECASE)
# 20260102, 2026-01-02 or 2026-01; with an hour, a whole time or seconds since 1970 after it, and the number of a second
# rotation on that day; seconds alone; Jan-2026.
_DAY = r"(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])(?:\1(?:0[1-9]|[12]\d|3[01]))?"
_TIME = r"(?:[-_.]1\d{9}|[-_.T]?\d{2}(?:[-_.:]?\d{2}){0,2})?(?:\.\d{1,3})?"
_MONTH = r"(?:\d{2}[-_.]?)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[-_.]?(?:19|20)\d\d"
_DATE = rf"(?:{_DAY}{_TIME}|1\d{{9}}|{_MONTH})"
# At the end of a name, or before its suffixes.
_DATED = re.compile(rf"(?:^|[-_.]|(?<=[a-z])){_DATE}(?=(?:\.[a-z]+)*$)", re.IGNORECASE)
_NUMBERED = re.compile(r"(?<=[^\d.])(?:\.\d{1,4}(?=$|\.[a-z]+$)|(?<=log)-\d{1,4}$|\.(?:old|bak)$)", re.IGNORECASE)
_DATED_DIRECTORY = re.compile(
    r"(?:^|(?<=/))(?:19|20)\d\d(?:[-_./]?(?:0[1-9]|1[0-2])(?:[-_./]?(?:[0-2]\d|3[01]))?)?(?:/|$)"
)


def log_name(path: PurePath) -> str:
    """The path of a log without what rotation put to it."""
    name = path.name
    while (shorter := _PACKED.sub("", name)) != name:
        name = shorter
    for rotated in (_NUMBERED, _DATED):
        name = rotated.sub("", name)
    directory = _DATED_DIRECTORY.sub("", path.parent.as_posix())
    return f"{directory.rstrip('/')}/{name}"


def logs_of(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Files by the log that they are of; logs and files in the order of their names."""
    logs: dict[str, list[Path]] = {}
    for path in sorted(paths):
        logs.setdefault(log_name(path), []).append(path)
    return dict(sorted(logs.items()))
