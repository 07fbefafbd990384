"""A way to a storage that can fail: it answers errors, breaks off, or takes its time."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from enum import StrEnum

# What it takes longer for an answer, where it is slow.
SLOW_SECONDS = 0.3

_ANSWERS = {
    "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "503": b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}


class Way(StrEnum):
    """How it is."""

    WHOLE = "whole"
    ERRORS = "500"
    BUSY = "503"
    CUT = "cut"
    CUT_SHORT = "cut in the middle of an answer"
    SLOW = "slow"


class StorageWire:
    """Listens on a port of its own and passes requests without a body on to another one, each by a connection of its
    own.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.way = Way.WHOLE
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(near,), daemon=True).start()

    def _answer(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (data := near.recv(65536)):
                    return
                head += data
            way = self.way
            if way is Way.CUT:
                return
            if way in (Way.ERRORS, Way.BUSY):
                near.sendall(_ANSWERS[way])
                return
            if way is Way.SLOW:
                time.sleep(SLOW_SECONDS)
            with socket.create_connection(("127.0.0.1", self._to)) as far:
                far.sendall(head.replace(b"Keep-Alive", b"close").replace(b"keep-alive", b"close"))
                answer = b"".join(iter(lambda: far.recv(65536), b""))
            near.sendall(answer[: len(answer) - len(answer) // 4] if way is Way.CUT_SHORT else answer)
