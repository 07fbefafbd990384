"""Looks for secrets wherever a session may have left one: files, processes, ClickHouse's own tables and logs.

Each secret has a `Mark`, letters and digits that stand nowhere else. No quoting changes these; base64 and hexadecimal
do, so these forms are looked for as well.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dags.clickhouse.dsn import Dsn
from dags.clickhouse.engine import open_client

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Mark:
    """What a secret holds that nothing else does: letters and digits, ten or more."""

    text: str

    def forms(self) -> frozenset[bytes]:
        """As it is, backwards, in hexadecimal of both cases, and in base64 wherever in a text it stands."""
        plain = self.text.encode()
        shifted = {base64.b64encode(bytes(before) + plain)[4 if before else 0 : -4] for before in range(3)}
        # The first sign of base64 of a text that stands behind others depends on these, and so do the last.
        return frozenset({plain, plain[::-1], plain.hex().encode(), plain.hex().upper().encode(), *shifted})

    def is_in(self, content: bytes) -> bool:
        return any(form in content for form in self.forms())


def in_files(marks: Iterable[Mark], *directories: Path, but: Iterable[Path] = ()) -> set[tuple[str, str]]:
    """Which mark stands in which file, its name among it; files that go meanwhile hold nothing."""
    found, left_out = set[tuple[str, str]](), {*but}
    for directory in directories:
        for path in [directory, *directory.rglob("*")]:
            if path in left_out or left_out & {*path.parents}:
                continue
            content = str(path).encode()
            with contextlib.suppress(OSError):
                content += path.read_bytes() if path.is_file() else b""
            found |= {(mark.text, str(path)) for mark in marks if mark.is_in(content)}
    return found


def in_tables(marks: Iterable[Mark], client: Client, *databases: str) -> set[tuple[str, str]]:
    """Which mark stands in which table of ClickHouse's. It is asked in halves: the question is in the log too."""
    with contextlib.suppress(Exception):  # the embedded engine keeps none
        client.command("SYSTEM FLUSH LOGS")
    names = client.query(
        "SELECT database, name FROM system.tables WHERE database IN {databases:Array(String)} "
        "AND (database != 'system' OR endsWith(name, '_log')) AND NOT endsWith(engine, 'View')",
        parameters={"databases": [*databases]},
    ).result_rows
    found = set[tuple[str, str]]()
    for mark in marks:
        forms = [form.decode() for form in mark.forms()]
        halves = {"first": [form[:5] for form in forms], "rest": [form[5:] for form in forms]}
        whole = "arrayMap((a, b) -> concat(a, b), {first:Array(String)}, {rest:Array(String)})"
        for database, name in names:
            has_mark = f"multiSearchAny(toString(tuple(*)), {whole})"
            [(rows,)] = client.query(
                f"SELECT countIf({has_mark}) FROM {database}.`{name}`", parameters=halves
            ).result_rows
            found |= {(mark.text, f"{database}.{name}")} if rows else set()
    return found


class Watching:
    """Looks at every process of the machine, and at every statement that runs, again and again; what it ``found``.

    A process's environment is left out: secrets may be handed over by it. So is whatever ends between two looks.
    """

    def __init__(self, marks: Iterable[Mark], dsn: str) -> None:
        self._marks, self._dsn = [*marks], dsn
        self.found = set[tuple[str, str]]()
        self.looks = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.look_again()
        return self

    def look_again(self) -> None:
        """Return when whatever is there now has been looked at."""
        after = self.looks + 2  # one look may be under way
        while self.looks < after:
            if not self._thread.is_alive():
                raise RuntimeError("nobody looks on any more")
            time.sleep(PAUSE_SECONDS)

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _look_on(self) -> None:
        with open_client(Dsn.parse(self._dsn), wait_seconds=10) as client:
            while not self._ends.wait(PAUSE_SECONDS):
                self._note("a command line", self._command_lines())
                rows = client.query("SELECT toString(tuple(*)) FROM system.processes").result_rows
                self._note("system.processes", "\n".join(row for (row,) in rows).encode())
                self.looks += 1

    def _note(self, where: str, content: bytes) -> None:
        self.found |= {(mark.text, where) for mark in self._marks if mark.is_in(content)}

    @staticmethod
    def _command_lines() -> bytes:
        content = b""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                content += path.read_bytes() + b"\n"
        return content
