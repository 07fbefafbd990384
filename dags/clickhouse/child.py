"""Work on ClickHouse for a process that must not keep the embedded engine open: a child does it, and answers.

A child needs most of a second to start, to load what it runs and to load the engine. Who has asked before asks again,
as a code server does: once two are answered, the next child is started a moment later, and stands ready.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dags.clickhouse.engine import is_held, leave, open_client
from dags.domain.errors import EngineError, EngineSlowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

Answer = TypeVar("Answer")

# So long after an answer the next child is started: whoever has it is at work on it, and there are few cores.
A_MOMENT_SECONDS = 1.0

# A child says so once it has its work: what ended without is asked of another.
BEGUN = b"begun\n"

# What a child that waited in vain for the engine needs to say so, before the time that it was given is over.
SAYING_SECONDS = 2.0


def call(
    dsn: Dsn, work: Callable[[Client], Answer], *, wait_seconds: float, limit_seconds: float, who: str = "tick"
) -> Answer:
    """``work(client)`` from a process that must not keep the embedded engine open; ``who`` as `open_client` has it.

    On a server, or when this process holds the engine anyway, it is a plain call. Otherwise a child does it, and is
    killed after ``limit_seconds``: a tick that hangs would hold up every other one.

    Raises:
        EngineError: as `open_client`, or the child took too long or died.
        Exception: whatever ``work`` raises, also in the child.
    """
    if not dsn.is_embedded or is_held(dsn):
        with open_client(dsn, wait_seconds=wait_seconds, answer_seconds=limit_seconds, who=who) as client:
            return work(client)
    ends = time.monotonic() + limit_seconds
    asked = pickle.dumps((dsn, wait_seconds, ends, who, work))
    child = _next.take()
    try:
        code, said, last_words = _told(child or _started(), asked, ends)
        if child is not None and not said.startswith(BEGUN):  # it had ended, or was ended, before it had its work
            code, said, last_words = _told(_started(), asked, ends)
    except subprocess.TimeoutExpired:
        raise EngineSlowError(
            f"the work on {dsn} took longer than {limit_seconds:.0f} s and was stopped; nothing is known from it. "
            "Shorten WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS, or use a ClickHouse server for data of this size"
        ) from None
    if code != 0:
        tail = last_words.decode(errors="replace").strip()[-2000:]
        raise EngineError(f"the process that read {dsn} ended with code {code}: {tail or 'no message'}")
    _next.prepare(work)
    answer, error = pickle.loads(said.removeprefix(BEGUN))  # noqa: S301 -- written by our own child
    if error is not None:
        raise error
    result: Answer = answer
    return result


class _Next:
    """The child that stands ready, if one does.

    It is of the environment that it was started in, as a run of this code is, and used in no other; it ends with the
    process that started it, for it reads from it.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._ready: subprocess.Popen[bytes] | None = None
        self._place: object = None
        self._modules: dict[str, None] = {}
        self._soon: threading.Timer | None = None
        atexit.register(self._let_go)

    def take(self) -> subprocess.Popen[bytes] | None:
        """The child that awaits its work, if one does; whoever takes it ends it."""
        with self._guard:
            child, self._ready = self._ready, None
            if self._soon is not None:
                self._soon.cancel()
            is_of_here = self._place == _place()
        if child is None or (is_of_here and child.poll() is None and not _is_stopped(child)):
            return child
        _end(child)
        return None

    def prepare(self, work: Callable[..., Any]) -> None:
        """Have a child ready for the next call, which has loaded what runs ``work`` and the work before, unless this is
        the first call from here. That none can be started costs the next call its time, and this one nothing.
        """
        function = work.func if isinstance(work, partial) else work
        with self._guard:
            self._modules[function.__module__] = None
            before, self._place = self._place, _place()
            if before == self._place and self._ready is None:
                self._soon = threading.Timer(A_MOMENT_SECONDS, self._start, (self._place,))
                self._soon.daemon = True
                with suppress(RuntimeError):  # no thread can be had
                    self._soon.start()

    def _start(self, place: object) -> None:
        with self._guard:
            if self._ready is None and place == _place():
                with suppress(OSError):
                    self._ready = _started("dags.clickhouse.embedded", *self._modules)

    def _let_go(self) -> None:
        if self._ready is not None:
            _end(self._ready)


_next = _Next()


def _is_stopped(child: subprocess.Popen[bytes]) -> bool:
    """Whether somebody stopped it, as SIGSTOP does: it would take its work, and the time that there is for it."""
    try:
        return os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # it is nobody's any more
        return True


def _place() -> object:
    """What a child is started in; like no other where that cannot be told, as without a directory."""
    try:
        return os.getpid(), Path.cwd(), dict(os.environ)
    except (OSError, LookupError, RuntimeError):  # a thread may be changing the environment
        return object()


def _started(*modules: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 -- our own
        [sys.executable, "-m", "dags.clickhouse.child", *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _told(child: subprocess.Popen[bytes], asked: bytes, ends: float) -> tuple[int, bytes, bytes]:
    """How a child ended that was given its work, what it answered, and its last words.

    Raises:
        TimeoutExpired: it has not by then.
    """
    try:
        said, last_words = child.communicate(asked, max(0.0, ends - time.monotonic()))
    finally:
        _end(child)
    return child.returncode, said, last_words


def _end(child: subprocess.Popen[bytes]) -> None:
    """That it is over, and nothing of it is left: neither process nor pipe."""
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def _serve() -> None:
    """The child's side of `call`: one piece of work from standard input, its answer or its error to standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the pickled bytes
    for module in sys.argv[1:]:
        import_module(module)
    try:
        dsn, wait_seconds, ends, who, work = pickle.load(sys.stdin.buffer)  # noqa: S301 -- from our own parent
    except EOFError:  # the parent has ended, and wants nothing
        leave()
    answers.write(BEGUN)
    answers.flush()
    # However slowly this process started, it says that the engine is busy before it is ended: one clock serves both.
    left = max(0.0, ends - SAYING_SECONDS - time.monotonic())
    try:
        with open_client(dsn, wait_seconds=min(wait_seconds, left), who=who) as client:
            outcome: tuple[Any, Exception | None] = (work(client), None)
    except Exception as error:  # noqa: BLE001 -- it is raised again by the parent
        outcome = (None, _picklable(error))
    pickle.dump(outcome, answers)
    answers.close()
    leave()


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    except Exception:  # noqa: BLE001 -- some exceptions do not survive; their words must
        return EngineError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    # Under its real name, so that what is pickled here is what the parent knows.
    from dags.clickhouse.child import _serve as serve

    serve()
