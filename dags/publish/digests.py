"""What is recorded of a day before it is swapped, to be compared later: of its backup, and of what comes in its place.

A backup is a table of ours that nobody writes, so the hashes that ClickHouse keeps of its parts tell whether it is what
it was: ClickHouse merges none of them, see `no_merges.sql`. The day itself goes on being written and merged, so what
some teams have there is recorded as a digest: of keys and states, so no merge changes it, and of nothing but them: rows
of others with equal sums are not taken for the same. Both name the columns that they are of, for a table may have
others by the time it is compared.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.clickhouse.sql import Sql
from dags.domain.errors import BuildError
from dags.publish.comparison import comparison
from dags.publish.contents import contents, contents_of_rows, read_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import date

    from clickhouse_connect.driver.client import Client

    from dags.domain.watched import WatchedTable
    from dags.publish.comparison import Column, Comparison, Content

_PACKAGE = "dags.publish"

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
        """The digest that an event keeps; None if it keeps none."""
        try:
            kept = json.loads(text)
            return cls(kept["digest"], tuple(kept["columns"]))
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class Kept:
    """What a backup's day was when it was recorded: the contents of its parts, and its page views by team, as hashes.

    ``altered`` is how many of its parts an ALTER had changed; ``columns`` are those that it had, with their types.
    0.5.1 recorded a ``digest`` of the keys of several parts, for its backups were merged, and no ``altered``.
    """

    parts: tuple[str, ...]
    totals: str
    columns: tuple[str, ...]
    altered: int | None
    digest: Digest | None = None

    @classmethod
    def now(cls, client: Client, backup: str, day: date, *, total_by_team: Mapping[int, int]) -> Kept:
        """As a backup's day is now.

        Raises:
            BuildError: there is no such table.
        """
        hashes, altered = _parts(client, backup, day)
        return cls(hashes, _totals(total_by_team), _spelled(client, backup, day), altered)

    def is_still(
        self,
        client: Client,
        declared: WatchedTable,
        backup: str,
        day: date,
        *,
        total_by_team: Callable[[], Mapping[int, int]],
    ) -> bool:
        """Whether a backup holds what it held: the same contents, or, of a backup whose columns a person renamed or
        dropped as the table's were, the same page views of every team.

        Numbers of parts would not tell: a table that is loaded anew without parts gives them once more. Nor does what
        a merge makes of parts: a TTL may have come and gone. So a backup is not merged, and one that somebody merged
        by hand is not what it was.

        Raises:
            BuildError: there is no such table.
        """
        hashes, altered = _parts(client, backup, day)
        if hashes == self.parts and self.altered in (altered, None):
            return True
        totals = total_by_team()
        if self.digest is not None:
            is_held = holds(client, declared, backup, day, teams=totals, then=self.digest)
            if is_held is not None:
                return is_held
        has_lost_columns = not set(self.columns) <= set(_spelled(client, backup, day))
        return has_lost_columns and _totals(totals) == self.totals

    def text(self) -> str:
        """As an event keeps it."""
        return json.dumps(
            {
                "parts": self.parts,
                "totals": self.totals,
                "columns": self.columns,
                "altered": self.altered,
                # 0.5.1 reads these, should it come back.
                "keys": self.digest.hash if self.digest is not None else None,
            }
        )

    @classmethod
    def of(cls, text: str) -> Kept | None:
        """What an event keeps; None if it keeps nothing of the kind."""
        try:
            kept = json.loads(text)
            columns = tuple(kept["columns"])
            digest = Digest(kept["keys"], columns) if kept.get("keys") is not None else None
            return cls(tuple(kept["parts"]), kept["totals"], columns, kept.get("altered"), digest)
        except (ValueError, KeyError, TypeError):
            return None


def read_digest(client: Client, declared: WatchedTable, table: str, day: date, teams: Collection[int]) -> Digest:
    """What teams have of a day in a table, or in one like it, by key, however many rows a key has.

    Raises:
        BuildError: there is no such table.
    """
    wanted, by = _all_columns(client, table, day)
    return Digest(_hashed(_by_key(client, declared, table, day, by), teams), wanted)


def digest_of_staged(client: Client, declared: WatchedTable, staging: str, day: date, teams: Collection[int]) -> Digest:
    """What teams have in a staging table of which each key of theirs has one row, as what a build just made has.

    A fifteenth of a build's work, where `read_digest` is a quarter of it. Where a key has two rows, `holds` knows it
    again as long as nothing merges them.

    Raises:
        BuildError: there is no such table.
    """
    wanted, by = _all_columns(client, staging, day)
    if not by.has_row_form:
        return read_digest(client, declared, staging, day, teams)
    return Digest(_hashed(contents_of_rows(_sql(client), declared, staging, day, by), teams), wanted)


def digest_of_nothing(client: Client, table: str, day: date) -> Digest:
    """That teams have no row of a day.

    Raises:
        BuildError: there is no such table.
    """
    return Digest(_hashed({}, ()), _spelled(client, table, day))


def holds(
    client: Client, declared: WatchedTable, table: str, day: date, *, teams: Collection[int], then: Digest
) -> bool | None:
    """Whether teams have in a table what a digest is of; None if the table has no longer the columns to tell.

    Raises:
        BuildError: there is no such table.
    """
    columns = _columns(client, table, day)
    if not columns.keys() >= set(then.columns):
        return None
    of = [columns[one] for one in then.columns]
    by = comparison(table, of, table, of)
    if by.has_row_form and _hashed(contents_of_rows(_sql(client), declared, table, day, by), teams) == then.hash:
        return True
    return _hashed(_by_key(client, declared, table, day, by), teams) == then.hash


def _by_key(client: Client, declared: WatchedTable, table: str, day: date, by: Comparison) -> Mapping[int, Content]:
    return {team: one.amount for team, one in contents(_sql(client), declared, table, day, by).items()}


def _parts(client: Client, table: str, day: date) -> tuple[tuple[str, ...], int]:
    """The hashes of a day's parts, and how many parts an ALTER has changed."""
    hashes, altered = _sql(client).row("part_hashes", {"table": table, "partition": f"{day:%Y%m%d}"})
    return tuple(hashes), altered


def _all_columns(client: Client, table: str, day: date) -> tuple[tuple[str, ...], Comparison]:
    columns = _columns(client, table, day)
    of = list(dict.fromkeys(columns.values()))
    return tuple(column.spelled for column in of), comparison(table, of, table, of)


def _spelled(client: Client, table: str, day: date) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column.spelled for column in _columns(client, table, day).values()))


def _columns(client: Client, table: str, day: date) -> dict[str, Column]:
    """The columns by what a digest calls them: name and type; 0.5.0 left out the types of all but states."""
    found = read_columns(client, table)
    columns = {column.spelled: column for column in found}
    columns |= {column.name: column for column in found if not column.is_state}
    if not columns:
        raise BuildError(
            f"{table} is not there any more: another run dropped it and works on {day}, nothing was swapped"
        )
    return columns


def _hashed(contents_by_team: Mapping[int, Content], teams: Collection[int]) -> str:
    lines: Iterable[tuple[int, int, int]] = (
        (team, one.keys, one.hash) for team, one in contents_by_team.items() if team in teams
    )
    return hashlib.sha256(repr(sorted(lines)).encode()).hexdigest()[:32]


def _sql(client: Client) -> Sql:
    return Sql(_PACKAGE, client, settings={"max_bytes_before_external_group_by": _SPILLS_AT})


def _totals(total_by_team: Mapping[int, int]) -> str:
    return hashlib.sha256(repr(sorted(total_by_team.items())).encode()).hexdigest()[:32]
