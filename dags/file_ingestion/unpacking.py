"""Asks the engine of a packed file what tells whether it is whole; see `.packing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import Remedy, remedy
from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError
from dags.file_ingestion.location import PACKAGE, only
from dags.file_ingestion.packing import HEAD_BYTES, TAIL_BYTES, broken_off

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.location import Location


def why_not_whole(client: Client, location: Location, path: str, seconds: int) -> str:
    """Why a packed file cannot be loaded as it is; empty if it can.

    Raises:
        UserError, ClickHouseError: the engine or the storage does not answer; nothing is known of the file.
    """
    sql, bound = Sql(PACKAGE, client), {"path": f"{location.root}{path}", "seconds": seconds}
    as_stored = location.parameters(only(path), "RawBLOB", "raw String")
    lines = location.parameters(only(path), "LineAsString", "line String")
    limits = {"head": HEAD_BYTES, "tail": TAIL_BYTES}
    try:
        ends = sql.rows("ends", bound | as_stored | limits, source=location.packed, path=location.path)
        [(unpacked,)] = sql.rows("unpacked", bound | lines, source=location.function, path=location.path)
    except (UserError, ClickHouseError) as error:
        if remedy(error) is Remedy.RETRY:
            raise
        return location.hidden_in(str(error))[:2000]
    # A file that is gone, or empty, is named by what lands of it.
    return next((broken_off(path, bytes.fromhex(head), bytes.fromhex(tail), unpacked) for head, tail in ends), "")
