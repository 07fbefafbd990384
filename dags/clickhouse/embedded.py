"""A client of the embedded engine. To import this is to load the engine: two tenths of a second."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote_plus

from clickhouse_connect.driver._chdbclient import ChdbClient

if TYPE_CHECKING:
    from clickhouse_connect.driver._backend.orchestration import InitializationResult
    from clickhouse_connect.driver.query import TzSource

# By itself the engine has two threads for merges and mutations, and lets a mutation wait a tenth of a second for each
# part of its table: a DELETE took 2 s beside 150 parts. With as many as a server has by default it took 0.06 s, and
# half of the CPU; they start when there is work for them.
BACKGROUND_THREADS = 16

# The engine compiles what a process has asked three times, in 40 to 100 ms for an aggregation of ours. A process asks
# so few times, and over so few rows, that this never comes back.
ASKED_TOO_SELDOM = "SET compile_expressions = 0, compile_aggregate_expressions = 0"


_CONFIG = Path(__file__).with_name("embedded.xml")


@cache
def config_file() -> str:
    """Where the engine reads what it is started with, as a connection's options may hold it: they are read as a URL's
    are, and only in ASCII, so another name of the file stands for one that they would not hold.
    """
    if quote_plus(str(_CONFIG), safe="/") == str(_CONFIG):
        return str(_CONFIG)
    return f"/dev/fd/{os.open(_CONFIG, os.O_RDONLY)}"  # open as long as the process is


class EmbeddedClient(ChdbClient):
    """The driver's client, of which the first in a process asks the engine what it is, and the others know.

    To read and to look at two thousand settings was half of what a client costs. What a session begins with is the same
    for all of a process, whatever another has set for itself.
    """

    _learnt: ClassVar[dict[str, InitializationResult]] = {}

    def __init__(self, path: str) -> None:
        options = {"background_pool_size": BACKGROUND_THREADS, "config-file": config_file()}
        super().__init__(path, tz_mode="aware", chdb_options=options)

    def _init_common_settings(self, tz_source: TzSource) -> None:
        if (learnt := self._learnt.get(self.path)) is not None:
            self._apply_init_result(learnt)
            return
        super()._init_common_settings(tz_source)

    def _apply_init_result(self, result: InitializationResult) -> None:
        super()._apply_init_result(result)
        self._learnt[self.path] = result
        self.command(ASKED_TOO_SELDOM)
