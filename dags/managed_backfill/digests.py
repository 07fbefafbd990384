"""What some teams have in a day, as a digest: recorded with a backup and before each swap, and compared later.

A digest is of keys and states, so no merge changes it, and of nothing but them: rows of others with equal sums are not
taken for the same. It names the columns that it is of, for a table may have others by the time it is compared.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.errors import BuildError
from dags.sql import Sql
from dags.web_preaggregated.restore import contents, read_columns
from dags.web_preaggregated.structure import comparison

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.web_preaggregated"

# From so many bytes on, the keys of a day go through the disk. Chosen: what a build has by default is four times that.
_SPILLS_AT = 1_000_000_000


@dataclass(frozen=True)
class Digest:
    """What teams have in a day: a hash, and the columns that it is of, those of states with their types."""

    hash: str
    columns: tuple[str, ...]

    def text(self) -> str:
        """As an event keeps it."""
        return json.dumps({"digest": self.hash, "columns": self.columns})

    @classmethod
    def of(cls, text: str) -> Digest | None:
        """The digest that an event keeps; None if it was written by a version that kept none."""
        try:
            kept = json.loads(text)
            return cls(kept["digest"], tuple(kept["columns"]))
        except (ValueError, KeyError, TypeError):
            return None


def read_digest(
    client: Client,
    table: str,
    day: date,
    teams: Collection[int],
    like: Digest | None = None,
    *,
    is_absent: bool = False,
) -> Digest | None:
    """What teams have of a day in a table, a backup or a staging; ``is_absent``: nothing, whatever the table holds.

    None if the table has no longer what ``like`` is of: then the two cannot be compared.

    Raises:
        BuildError: there is no such table.
    """
    columns = {column.spelled: column for column in read_columns(client, table)}
    if not columns:
        raise BuildError(
            f"{table} is not there any more: another run dropped it and works on {day}, nothing was swapped"
        )
    wanted = tuple(columns) if like is None else like.columns
    if not columns.keys() >= set(wanted):
        return None
    of = [columns[one] for one in wanted]
    sql = Sql(_PACKAGE, client, settings={"max_bytes_before_external_group_by": _SPILLS_AT})
    held = {} if is_absent else contents(sql, table, day, comparison(table, of, table, of))
    lines = sorted((team, one.amount.keys, one.amount.hash) for team, one in held.items() if team in teams)
    return Digest(hashlib.sha256(repr(lines).encode()).hexdigest()[:32], wanted)
