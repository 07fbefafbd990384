"""What the engine from npm lacks of a replica: an address that others fetch parts from, and the handler behind it.

The library is `clickhouse local`. It has everything of ReplicatedMergeTree but what the server's own program sets when
it starts, so such tables stay read-only. Here four functions are made to answer as they do in a server, in the memory
of the process and before it has a second thread; the file stays as it is. Addresses and machine code fit one build for
x86_64, and every byte that is relied on is compared before one is written.

    python -m dags.tests.clickhouse_interserver LIBRARY DATA CONFIG PORT

is one such engine, as `dags.tests.clickhouse_cluster` starts it. Its configuration names two hosts to listen on, and
the second has to be INTERSERVER_HOST: there, at the HTTP port, replicas fetch parts, with no password.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from dags.tests.clickhouse_server import ServerError, serve_with_library

# Linux answers on all of 127.0.0.0/8 without being told to. What listens on the first host are handlers for clients.
INTERSERVER_HOST = "127.0.0.2"


@dataclass(frozen=True)
class Place:
    """Where something lies in the loaded library, from its beginning, and the bytes that are there."""

    what: str
    offset: int
    content: bytes

    @property
    def end(self) -> int:
        return self.offset + len(self.content)


# Found in libchdb.so of @chdb/lib-linux-x64-gnu 26.7.3-stable.1. The exported function tells where the library was
# loaded; functions are known by how they begin.
_EXPORTED = ("chdb_query_cmdline", 0xF211700)
_BUILD_ID = Place("the build id", 0x2B8, bytes.fromhex("d3d8f5517577ad52775b52318a193784b2fb5317"))
_ADDRESS = Place(
    "Context::getInterserverIOAddress", 0x1417C9C0, bytes.fromhex("4156534883ec484c8b36490fbe8e670100004885c9498b96")
)
_SCHEME = Place(
    "Context::getInterserverScheme", 0x1417CAC0, bytes.fromhex("488b0680b88701000000781a480570010000488b48104889")
)
_CREDENTIALS = Place(
    "Context::getInterserverCredentials", 0x1417C940, bytes.fromhex("41574156534c8b3f498d9f880100004889dfe8a903da0c4d")
)
# Six registers are pushed and the stack is moved: 17 bytes that mean the same wherever they stand.
_FACTORY = Place("createHandlerFactory", 0x18395CC0, bytes.fromhex("554157415641554154534881ec98000000"))
# Where InterserverIOHTTPHandler asks for the credentials: a call, so it goes on where this ends.
_HANDLER_ASKS = Place("the call in InterserverIOHTTPHandler", 0x183D526B, bytes.fromhex("e8d076dafb"))
PLACES = (_BUILD_ID, _ADDRESS, _SCHEME, _CREDENTIALS, _FACTORY, _HANDLER_ASKS)

# A std::string of the library is 24 bytes: a short one its text, padded, and the length in the last byte; a long one
# pointer, length and capacity, with the highest bit set.
_SHORT_STRING = 23
_IS_LONG = 1 << 63

_ROOM = 2 * mmap.PAGESIZE
# InterserverCredentials of nobody: an empty name and an empty password come first, and the rest is not looked at.
_NO_CREDENTIALS = bytes(1024)


def _word(number: int) -> bytes:
    return number.to_bytes(8, "little")


class _Room:
    """Memory that the process may write, read and run, filled from its beginning."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(
            -1,
            _ROOM,
            flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
            prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC,
        )
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))

    def put(self, content: bytes) -> int:
        """Keep these bytes; returns their address, which the length of a word divides."""
        self._memory.seek(-(-self._memory.tell() // 16) * 16)
        address = self._start + self._memory.tell()
        self._memory.write(content)
        return address


def let_replicate(engine: ctypes.CDLL, port: int) -> object:
    """Have replicated tables of this engine fetch parts and hand them out, at INTERSERVER_HOST and that port.

    What comes back is the memory that the engine then runs in: keep it.

    Raises:
        ServerError: this is not the build whose addresses are known, or the process has a second thread already,
            which might run what is being changed.
    """
    name, offset = _EXPORTED
    base = (ctypes.cast(getattr(engine, name), ctypes.c_void_p).value or 0) - offset
    for place in PLACES:
        found = ctypes.string_at(base + place.offset, len(place.content))
        if found != place.content:
            raise ServerError(
                f"{engine._name} is not the build whose addresses are known: at {place.what} ({place.offset:#x}) is "
                f"{found.hex()}, not {place.content.hex()}. Who pins another library finds them anew, in {__file__}"
            )
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise ServerError(f"{engine._name} cannot be made to replicate: the process has a second thread already")
    room = _Room()
    for place, code in (
        (_ADDRESS, _returning(room, _short_string(INTERSERVER_HOST) + _word(port))),
        (_SCHEME, _returning(room, _short_string("http"))),
        (_CREDENTIALS, _credentials(room, base)),
        (_FACTORY, _factory(room, base)),
    ):
        _write_code(base + place.offset, _jump_to(room.put(code)), limit=len(place.content))
    return room


def _short_string(text: str) -> bytes:
    assert len(text) < _SHORT_STRING
    return text.encode().ljust(_SHORT_STRING, b"\0") + bytes([len(text)])


def _long_string(room: _Room, text: str) -> bytes:
    size = len(text) + 1
    return _word(room.put(text.encode() + b"\0")) + _word(len(text)) + _word(size | _IS_LONG)


def _returning(room: _Room, value: bytes) -> bytes:
    """A function that copies this value to where its caller wants the result."""
    return b"".join(
        (
            b"\x48\x89\xfa",  # mov rdx, rdi: where the result goes
            b"\x48\xbe" + _word(room.put(value)),  # mov rsi, value
            b"\xb9" + len(value).to_bytes(4, "little"),  # mov ecx, length
            b"\xf3\xa4",  # rep movsb
            b"\x48\x89\xd0",  # mov rax, rdx
            b"\xc3",  # ret
        )
    )


def _credentials(room: _Room, base: int) -> bytes:
    """Empty credentials for who fetches, and none for the handler, which then asks nobody for any.

    The result is a pointer in rax with its owner, here always none, in rdx.
    """
    return b"".join(
        (
            b"\x48\xb8" + _word(room.put(_NO_CREDENTIALS)),  # mov rax, no credentials
            b"\x48\xb9" + _word(base + _HANDLER_ASKS.end),  # mov rcx, where the handler goes on
            b"\x31\xd2",  # xor edx, edx
            b"\x48\x39\x0c\x24",  # cmp [rsp], rcx
            b"\x48\x0f\x44\xc2",  # cmove rax, rdx
            b"\xc3",  # ret
        )
    )


def _factory(room: _Room, base: int) -> bytes:
    """The function as it was, but that the second host listened on gets the handler for replicas.

    It is called once for each host, in their order; its fourth argument names the handlers.
    """
    name = room.put(_long_string(room, "InterserverIOHTTPHandler-factory"))
    return b"".join(
        (
            b"\x48\xb8" + _word(room.put(_word(0))),  # mov rax, number of calls
            b"\xf0\x48\xff\x00",  # lock inc qword [rax]
            b"\xf6\x00\x01",  # test byte [rax], 1
            b"\x48\xb8" + _word(name),  # mov rax, name
            b"\x48\x0f\x44\xc8",  # cmove rcx, rax: if the number is even
            _FACTORY.content,
            _jump_to(base + _FACTORY.end),
        )
    )


def _jump_to(address: int) -> bytes:
    return b"\xff\x25" + bytes(4) + _word(address)  # jmp [rip]


def _write_code(address: int, code: bytes, limit: int) -> None:
    assert len(code) <= limit
    libc = ctypes.CDLL(None, use_errno=True)
    page = address - address % mmap.PAGESIZE
    length = address + len(code) - page

    def protect(protection: int) -> None:
        if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(length), protection) != 0:
            raise ServerError(f"the engine's code cannot be changed: mprotect: {os.strerror(ctypes.get_errno())}")

    protect(mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    ctypes.memmove(address, code, len(code))
    protect(mmap.PROT_READ | mmap.PROT_EXEC)


def main(library: str, data: str, config: str, port: str) -> None:
    """Be one engine until it is killed."""
    engine = ctypes.CDLL(library)
    kept = let_replicate(engine, int(port))
    # Else what the library does on a fault, and on signals, would be Python's.
    engine.chdb_reset_signal_handlers()
    assert kept is not None
    serve_with_library(engine, data, config, ("HTTP", "TCP"))


if __name__ == "__main__":
    main(*sys.argv[1:])
