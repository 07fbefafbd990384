"""The files of access logs: how they are packed, and what cannot be read of them.

A file is what its first bytes say and not what it is called. Whatever is in it comes out as one result for each line;
a stream that breaks off, as a copy of a log in rotation does, ends with one piece of rubbish that stands for all that
could not be read.
"""

import bz2
import gzip
import lzma
import sys
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from dags.demo.traffic.access_log import MAX_LINE_BYTES, Hit, Rubbish, RubbishKind, parse_line, printable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_OPENED_BY_MAGIC: dict[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x28\xb5\x2f\xfd": zstd.open,
}
_NAMED_BY_MAGIC = {
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
    b"\x1f\x9d": "packed by compress (.Z)",
    b"\x04\x22\x4d\x18": "packed by lz4",
    b"LZIP": "packed by lzip",
    b"\x89LZO": "packed by lzop",
    b"\xff\x06\x00\x00sNaPpY": "packed by snappy",
    b"SQLite format 3": "a SQLite database",
    b"PAR1": "a Parquet file",
}
# Packed by this there are no first bytes to know it by.
_NAMED_BY_SUFFIX = {".br": "packed by brotli"}
# Where a tar archive says that it is one.
_TAR_MARK, _TAR_AT = b"ustar", 257

READ = "plain, or packed by gzip, bzip2, xz or zstd"
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zstd.ZstdError)


def why_unreadable(path: Path) -> str:
    """Why a file cannot be read as a log, in words; empty if it can be, as far as its beginning says."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
        found = next((name for magic, name in _NAMED_BY_MAGIC.items() if head.startswith(magic)), "")
        if found := found or _NAMED_BY_SUFFIX.get(path.suffix, ""):
            return f"it is {found}"
        with open_log(path) as stream:
            beginning = stream.read(_TAR_AT + len(_TAR_MARK))
        if beginning[_TAR_AT:] == _TAR_MARK:
            return "it is a tar archive"
        if _is_utf_16(beginning):
            return "it is UTF-16: make it UTF-8, `iconv -f UTF-16 -t UTF-8`"
    except _BROKEN:
        return ""  # which the lines say, as far as they go
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _is_utf_16(beginning: bytes) -> bool:
    """By its mark, or without one by every second byte of plain letters, which is 0."""
    even, odd = beginning[:16:2], beginning[1:16:2]
    is_every_second_0 = (all(even) and not any(odd)) or (all(odd) and not any(even))
    return beginning.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or (bool(odd) and is_every_second_0)


def read_log(path: Path) -> Iterator[Hit | Rubbish]:
    """Parse a file, one result for each line. Memory does not grow with the file.

    Raises:
        OSError: the file cannot be opened or read.
    """
    line = 0
    with open_log(path) as stream:
        try:
            for line, raw in enumerate(_lines_of(stream), start=1):
                yield parse_line(raw.removeprefix(BOM_UTF8) if line == 1 else raw, line)
        except _BROKEN as error:
            yield Rubbish(line + 1, RubbishKind.BROKEN_STREAM, printable(str(error).encode()))
        except OSError as error:
            # What bzip2 raises has no number: it is not the disk that failed.
            if error.errno is not None:
                raise
            yield Rubbish(line + 1, RubbishKind.BROKEN_STREAM, printable(str(error).encode()))


def open_log(path: Path) -> IO[bytes]:
    """Open a file for reading its bytes, unpacked.

    Raises:
        OSError: the file cannot be opened or read.
    """
    with path.open("rb") as file:
        head = file.read(16)
    opened = next((opener for magic, opener in _OPENED_BY_MAGIC.items() if head.startswith(magic)), None)
    return path.open("rb") if opened is None else cast("IO[bytes]", opened(path))


def _lines_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Split at newlines, holding one line of bounded length: of a longer one only the beginning is kept."""
    while raw := stream.readline(MAX_LINE_BYTES + 1):
        rest = raw
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE_BYTES + 1)
        yield raw
