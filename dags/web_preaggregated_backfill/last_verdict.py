"""What the last verdict in Dagster's catalog says: when ClickHouse was read for it, of which database it is, and what
remains of a backfill that has begun.

It is a materialization of the detector, which anybody may report, so nothing of it is taken for granted.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dagster import AssetKey, JsonMetadataValue, MetadataValue

from dags.repair.asked import days_listed

if TYPE_CHECKING:
    from datetime import date

    from dagster import DagsterInstance, EventLogRecord

    from dags.clickhouse.dsn import Dsn

DETECTOR = AssetKey("web_analytics_backfill_detector")

REMAINING = "open_backfill_days"
_READ_AT, _DATABASE, _MARK = "read_at", "database", "database_mark"

# So many verdicts are looked through for one that says what remains. Each of ours does, so it is the last one, unless
# people reported some or another database was asked about in between.
LOOKED_THROUGH = 100


@dataclass(frozen=True)
class LastVerdict:
    """A verdict in the catalog, as far as the next one depends on it.

    ``number`` is Dagster's, of the event: 0 where there is none. ``read_at`` is ClickHouse's clock when it was last
    read for this database, None if it never was. ``mark`` is that of the database, see `dags.clickhouse.dsn.Dsn.mark`;
    empty where it is not said, as before 0.7.0. ``remaining`` is None where nothing is said of it.
    """

    number: int = 0
    read_at: datetime | None = None
    database: str = ""
    mark: str = ""
    remaining: frozenset[date] | None = None
    is_unknown: bool = False

    @classmethod
    def of(cls, record: EventLogRecord) -> LastVerdict:
        materialization = record.asset_materialization
        told = materialization.metadata if materialization is not None else {}

        def text(name: str) -> str:
            value = told[name].value if name in told else ""
            return value if isinstance(value, str) else ""

        read_at, days = None, told.get(REMAINING)
        with suppress(ValueError):
            read_at = datetime.fromisoformat(text(_READ_AT)).astimezone(UTC)
        remaining = days_listed(days.data) if isinstance(days, JsonMetadataValue) else None
        return cls(
            record.storage_id, read_at, text(_DATABASE), text(_MARK), remaining, text("status").startswith("UNKNOWN")
        )

    def is_of(self, mark: str) -> bool:
        """Whether it is a verdict of this database, as far as it says."""
        return self.mark in ("", mark)


def last_verdict(instance: DagsterInstance) -> LastVerdict:
    """The last verdict in the catalog, of whichever database; an empty one if there is none."""
    return next(map(LastVerdict.of, instance.fetch_materializations(DETECTOR, limit=1).records), LastVerdict())


def remaining_days(instance: DagsterInstance, last: LastVerdict, mark: str) -> frozenset[date]:
    """What the last evaluation of this database that says so left of a backfill that has begun.

    Nearly always ``last`` says it, the last verdict of any. Losing it costs no more than the minimum being asked for
    again.
    """
    if last.is_of(mark) and last.remaining is not None:
        return last.remaining
    for record in instance.fetch_materializations(DETECTOR, limit=LOOKED_THROUGH).records:
        verdict = LastVerdict.of(record)
        if verdict.is_of(mark) and verdict.remaining is not None:
            return verdict.remaining
    return frozenset()


def provenance(last: LastVerdict, dsn: Dsn, read_at: datetime | None) -> tuple[dict[str, MetadataValue], str]:
    """What every verdict says of itself: of which database it is, and when ClickHouse was read, by its own clock.

    ``read_at`` is None where it could not be read: then it is what it was in the last verdict. The words are for the
    verdict's status, where the last one was of another database; else they are empty.
    """
    is_same = last.is_of(dsn.mark)
    known = read_at or (last.read_at if is_same else None)
    entries: dict[str, MetadataValue] = {_DATABASE: MetadataValue.text(str(dsn)), _MARK: MetadataValue.text(dsn.mark)}
    if known is not None:
        entries[_READ_AT] = MetadataValue.text(known.isoformat())
    return entries, "" if is_same else f". Of {dsn}; the verdict before it is of another database, {last.database}"
