"""Tells Dagster of the days that are in ClickHouse already, so that its partitions show what the data shows.

A table that is older than this code location has days that no run of it has built; detection judges them by their
data, and the UI would show them as never materialized.
"""

from collections.abc import Mapping
from datetime import date

from clickhouse_connect.driver.client import Client
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    JobDefinition,
    MetadataValue,
)

from dags.clickhouse.schema.apply import require_schema
from dags.clickhouse.sql import Sql
from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import JobKind
from dags.detection.signals import target_identifiers
from dags.domain.clock import Clocks
from dags.domain.days import in_words
from dags.domain.errors import UserError
from dags.domain.given import Nothing
from dags.domain.text import counted
from dags.domain.watched import WatchedTable
from dags.web_preaggregated_backfill.building import PARTITION_ROWS
from dags.web_preaggregated_backfill.catalog import look_again


def adoption_job(watched: tuple[WatchedTable, ...]) -> JobDefinition:
    """The job, for the tables that are watched."""

    def report_days(asked: Command[Nothing]) -> dict[str, int]:
        """Report each day that has rows and that Dagster does not know as materialized."""
        reported = {}
        with asked.client() as (client, clocks):
            unusable = require_schema(client, watched).unusable
            for table in watched:
                if table.name in unusable:
                    continue
                days = _unreported(asked.instance, table, present_days(client, table, clocks))
                for day, rows in days.items():
                    asked.instance.report_runless_asset_event(
                        AssetMaterialization(
                            table.name,
                            partition=day.isoformat(),
                            description="Found in ClickHouse; not built by a run that Dagster knows.",
                            metadata={name: MetadataValue.int(rows) for name in ("day_rows", PARTITION_ROWS)},
                        )
                    )
                reported[table.name] = len(days)
                print(f"{table.name}: {counted(len(days), 'day')} reported, {in_words(days)}")
        # That a day is there says nothing of whether it holds its source.
        look_again(asked.instance, asked.clickhouse, watched, asked.run_id)
        if unusable:
            raise UserError(f"nothing was reported of {', '.join(unusable)}: {'; '.join(unusable.values())}")
        return reported

    return command(
        report_days,
        "Report the days that ClickHouse has already to Dagster as materialized. Builds nothing; safe to repeat.",
        name="report_existing_days",
        op_name="report_days",
        kind=JobKind.SCHEMA,
    )


def present_days(client: Client, table: WatchedTable, clocks: Clocks) -> dict[date, int]:
    """The days of which a table has rows, and how many; those before its first day are nobody's."""
    bound = {"start": table.first_day, "end": clocks.today}
    sql = Sql("dags.detection", client)
    return dict(sql.rows("present_days", bound, **target_identifiers(table)))


def _unreported(instance: DagsterInstance, table: WatchedTable, days: Mapping[date, int]) -> dict[date, int]:
    known = instance.get_materialized_partitions(AssetKey(table.name))
    return {day: rows for day, rows in days.items() if day.isoformat() not in known}
