"""The jobs by which a person sets a waiver, lifts it, and sees which there are."""

from collections.abc import Callable
from typing import Any

from dagster import JobDefinition

from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import JobKind
from dags.detection.waivers.fields import LiftConfig, WaiverConfig
from dags.detection.waivers.rules import free_id, validated
from dags.detection.waivers.store import lift_waiver, read_waivers, set_waiver
from dags.domain.given import Nothing
from dags.domain.watched import WatchedTable
from dags.team_selection.store import read_selection


def waiver_jobs(watched: tuple[WatchedTable, ...], changed: Callable[[Command[Any]], None]) -> list[JobDefinition]:
    """The jobs, for the tables that are watched. ``changed`` hears of each command after it has changed a waiver."""

    def waive(asked: Command[WaiverConfig]) -> str:
        """Set a waiver and print it."""
        with asked.clients() as clients:
            client, clocks = clients[0]
            taken = {waiver.waiver_id for one, _ in clients for waiver in read_waivers(one)}
            waiver_id = free_id(asked.run_id, taken)
            waiver = validated(asked.read, watched, read_selection(client).teams, waiver_id, clocks.today)
            for one, _ in clients:
                set_waiver(one, waiver)
        print(f"SET      {waiver}")
        changed(asked)
        return waiver.waiver_id

    def lift(asked: Command[LiftConfig]) -> None:
        """Lift a waiver and print it."""
        with asked.clients() as clients:
            lifted = lift_waiver([client for client, _ in clients], asked.given.waiver_id, asked.given.requested_by)
        print(f"LIFTED   {lifted}")
        changed(asked)

    waive_job = command(
        waive,
        "Leave days as they are: known to be empty, or not worth a rebuild. Who, why and until when are required.",
        known={"table": [table.name for table in watched]},
        config=WaiverConfig,
        refuses=True,
        kind=JobKind.WAIVER,
    )
    lift_waiver_job = command(
        lift,
        "End a waiver: what is wrong is wrong again.",
        name="lift_waiver",
        op_name="lift",
        config=LiftConfig,
        kind=JobKind.WAIVER,
    )
    return [waive_job, lift_waiver_job, list_waivers_job]


def list_waivers(asked: Command[Nothing]) -> list[str]:
    """Print every waiver that is set, expired ones among them."""
    with asked.clients() as clients:
        waivers = list(dict.fromkeys(waiver for client, _ in clients for waiver in read_waivers(client)))
        today = clients[0][1].today
    for waiver in waivers:
        print(f"{'HOLDS' if waiver.holds(today) else 'EXPIRED':<8} {waiver}")
    if not waivers:
        print("No waiver is set.")
    return [waiver.waiver_id for waiver in waivers]


list_waivers_job = command(list_waivers, "Which days and teams are waived, by whom, why, and until when?")
