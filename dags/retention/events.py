"""Forgets events of Dagster's log that are of no run, as every evaluation leaves them of the detector and the checks.

Dagster has no way to forget these but to wipe an asset's whole history, and no way at all for the results of checks,
those of runs that are deleted among them. So they are deleted from the tables of its storage, in SQLite and PostgreSQL
alike, and of each asset, day and check the newest stays, whoever left it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from dagster import AssetKey, DagsterEventType, EventLogEntry
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._serdes import deserialize_value
from dagster_shared.serdes.errors import DeserializationError

from dags.domain.batched import batched

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from dagster import DagsterInstance

# Dagster's id of no run.
_NO_RUN = ""

# So many rows in a transaction: SQLite lets others write between two of them.
AT_ONCE = 500

_events, _checks, _tags = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c, AssetEventTagsTable.c

_OF_ASSETS = (DagsterEventType.ASSET_MATERIALIZATION.value, DagsterEventType.ASSET_OBSERVATION.value)
_OF_CHECKS = DagsterEventType.ASSET_CHECK_EVALUATION.value


@dataclass(frozen=True)
class ForgottenEvents:
    """Rows of Dagster's storage that are gone, by kind; ``why_not``: where it is another storage, that says so."""

    events: int = 0
    checks: int = 0
    why_not: str = ""


def forget_events(
    instance: DagsterInstance, assets: Collection[AssetKey], before: datetime, *, dry_run: bool
) -> ForgottenEvents:
    """Forget the events of no run, and the results of checks, of these assets from before an instant."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return ForgottenEvents(why_not=f"{type(storage).__name__} is no SQL storage: what it keeps, it keeps")
    keys = sorted(key.to_string() for key in assets)
    early = before.astimezone(UTC).replace(tzinfo=None)

    def gone(connect: Callable[[], AbstractContextManager[Any]], *, has_tags: bool) -> int:
        ids = [*_old_of_assets(connect, keys, early), *_old_of_checks(connect, assets, early)]
        for part in () if dry_run else batched(ids, AT_ONCE):
            with connect() as connection:
                connection.execute(SqlEventLogStorageTable.delete().where(_events.id.in_(part)))
                if has_tags:
                    connection.execute(AssetEventTagsTable.delete().where(_tags.event_id.in_(part)))
        return len(ids)

    # The results of checks first: what their newest points at is looked up there.
    checks = _old_checks(storage.index_connection, keys, early)
    for part in () if dry_run else batched(checks, AT_ONCE):
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(_checks.id.in_(part)))
    events = gone(storage.index_connection, has_tags=True)
    if storage.is_run_sharded:  # SQLite has the same once more, in a file of its own
        gone(lambda: storage.run_connection(_NO_RUN), has_tags=False)
    return ForgottenEvents(events, len(checks))


def _old_of_assets(
    connect: Callable[[], AbstractContextManager[Any]], keys: Sequence[str], early: datetime
) -> list[int]:
    """Materializations and observations of no run, but the newest of each asset and partition."""
    of_these = sa.and_(_events.dagster_event_type.in_(_OF_ASSETS), _events.asset_key.in_(keys))
    newest = (
        sa.select(sa.func.max(_events.id))
        .where(of_these)
        .group_by(_events.dagster_event_type, _events.asset_key, _events.partition)
    )
    old = sa.and_(_events.run_id == _NO_RUN, _events.timestamp < early, _events.id.not_in(newest))
    with connect() as connection:
        return list(connection.execute(sa.select(_events.id).where(of_these, old).order_by(_events.id)).scalars())


def _old_of_checks(
    connect: Callable[[], AbstractContextManager[Any]], assets: Collection[AssetKey], early: datetime
) -> list[int]:
    """The log's copies of the results of checks of no run, which have no asset beside them; Dagster shows none of them
    where it has the result itself.
    """
    old = sa.and_(_events.run_id == _NO_RUN, _events.dagster_event_type == _OF_CHECKS, _events.timestamp < early)
    found: list[int] = []
    with connect() as connection:
        for number, text in connection.execute(sa.select(_events.id, _events.event).where(old).order_by(_events.id)):
            with suppress(DeserializationError):
                event = deserialize_value(text, EventLogEntry).dagster_event
                if event is not None and event.asset_check_evaluation_data.asset_key in assets:
                    found.append(number)
    return found


def _old_checks(connect: Callable[[], AbstractContextManager[Any]], keys: Sequence[str], early: datetime) -> list[int]:
    """Results of checks, whichever run's, but the newest of each check and partition."""
    of_these = _checks.asset_key.in_(keys)
    newest = (
        sa.select(sa.func.max(_checks.id))
        .where(of_these)
        .group_by(_checks.asset_key, _checks.check_name, _checks.partition)
    )
    old = sa.and_(_checks.evaluation_event_timestamp < early, _checks.id.not_in(newest))
    with connect() as connection:
        return list(connection.execute(sa.select(_checks.id).where(of_these, old).order_by(_checks.id)).scalars())
