"""Whether a packed file is whole, for those kinds that ClickHouse unpacks as far as they go.

A gz, xz or bz2 that breaks off is an error by itself. Of a zst or an lz4 that breaks off ClickHouse reads what is there
(26.7 and 26.9, measured), and a file of lines would count as whole that is a half. An lz4 says where it ends; a zst
says in its head how much is in it, if it was made of a file and not of a stream.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

# As ClickHouse tells by a file's name.
ZSTD, LZ4 = (".zst", ".zstd"), (".lz4",)

# Bytes of a file that `broken_off` is to see: both heads fit in it, and an lz4's end mark with the sum after it.
HEAD_BYTES, TAIL_BYTES = 18, 8

BROKEN_OFF = "it breaks off: its packing has no end"
_PACK_ANEW = "pack it from a file, with zstd as it comes, or as gz or xz"

_ZSTD_MAGIC, _LZ4_MAGIC = bytes.fromhex("28b52ffd"), bytes.fromhex("04224d18")
_LZ4_END = bytes(4)


def is_to_be_checked(path: str) -> bool:
    """Whether a file of that name may break off without an error."""
    return path.lower().endswith((*ZSTD, *LZ4))


def broken_off(path: str, head: bytes, tail: bytes, unpacked: int) -> str:
    """Why a packed file is not whole, or cannot be told to be; empty if it is.

    ``unpacked`` is how many bytes of it ClickHouse has, or one more: a line without an end is counted as if it had one.
    """
    if path.lower().endswith(LZ4):
        has_sum = len(head) > len(_LZ4_MAGIC) and bool(head[4] & 0x04)
        end = tail[-8:-4] if has_sum else tail[-4:]
        return "" if head.startswith(_LZ4_MAGIC) and end == _LZ4_END else BROKEN_OFF
    size = _zstd_size(head)
    if size is None:
        return f"it does not say how much is in it, so that nothing tells whether it is whole: {_PACK_ANEW}"
    if unpacked > size + 1:
        return f"it has several parts, so that nothing tells whether the last is whole: {_PACK_ANEW}"
    return "" if unpacked - size in (0, 1) else f"{BROKEN_OFF}: {unpacked:,} bytes are there of {size:,}"


def _zstd_size(head: bytes) -> int | None:
    """How many bytes a zst's first part has when it is unpacked (RFC 8878, 3.1.1.1); None where it does not say."""
    if not head.startswith(_ZSTD_MAGIC) or len(head) <= len(_ZSTD_MAGIC):
        return None
    flags = head[4]
    is_single = bool(flags & 0x20)
    length = (int(is_single), 2, 4, 8)[flags >> 6]
    start = 5 + (not is_single) + (0, 1, 2, 4)[flags & 3]
    given = head[start : start + length]
    if not length or len(given) < length:
        return None
    return int.from_bytes(given, "little") + (256 if length == 2 else 0)  # noqa: PLR2004 -- of two bytes, as the RFC has it
