"""The jobs by which a person sets a waiver, lifts it, and sees which there are."""

from dagster import Field, JobDefinition

from dags.dagster_runs.command import Command, Texts, command
from dags.detection.waivers.rules import validated
from dags.detection.waivers.store import lift_waiver, read_waivers, set_waiver
from dags.domain.watched import WatchedTable

_WAIVER = {
    "first_day": Field(str, description="First day that is waived, YYYY-MM-DD."),
    "last_day": Field(str, description="Last day that is waived, itself included."),
    "valid_until": Field(str, description="The day on which the waiver ends, itself included; at most a year away."),
    "reason": Field(str, description="Why these units need no rebuild; shown in every report."),
    "requested_by": Field(str, description="Who says so."),
    "team_ids": Field([int], default_value=[], description="The teams that are waived; all, when left out."),
    "table": Field(str, default_value="", description="The table that is waived; every watched one, when left out."),
}
_LIFT = {
    "waiver_id": Field(str, description="The id that waive_job printed; list_waivers_job shows it too."),
    "requested_by": Field(str, description="Who lifts it."),
}


def waiver_jobs(watched: tuple[WatchedTable, ...]) -> list[JobDefinition]:
    """The jobs, for the tables that are watched."""
    tables = [table.name for table in watched]

    def waive(asked: Command) -> str:
        """Set a waiver and print it."""
        with asked.client() as (client, clocks):
            waiver = validated(asked.given, tables, f"waiver-{asked.run_id[:8]}", clocks.today)
            set_waiver(client, waiver)
        print(f"SET      {waiver}")
        return waiver.waiver_id

    waive_job = command(
        waive,
        "Leave days as they are: known to be empty, or not worth a rebuild. Who, why and until when are required.",
        fields=_WAIVER,
    )
    return [waive_job, lift_waiver_job, list_waivers_job]


def lift(asked: Command) -> None:
    """Lift a waiver and print it."""
    with asked.client() as (client, _):
        lifted = lift_waiver(client, asked.given["waiver_id"], asked.given["requested_by"].strip())
    print(f"LIFTED   {lifted}")


def list_waivers(asked: Command) -> list[str]:
    """Print every waiver that is set, expired ones among them."""
    with asked.client() as (client, clocks):
        waivers = read_waivers(client)
    for waiver in waivers:
        print(f"{'HOLDS' if waiver.holds(clocks.today) else 'EXPIRED':<8} {waiver}")
    if not waivers:
        print("No waiver is set.")
    return [waiver.waiver_id for waiver in waivers]


lift_waiver_job = command(
    lift,
    "End a waiver: what is wrong is wrong again.",
    name="lift_waiver",
    op_name="lift",
    fields=_LIFT,
    texts=Texts(required=("waiver_id", "requested_by")),
)
list_waivers_job = command(list_waivers, "Which days and teams are waived, by whom, why, and until when?")
