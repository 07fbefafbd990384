"""The jobs by which a person sets a waiver, lifts it, and sees which there are."""

from dagster import Field, JobDefinition, OpExecutionContext, in_process_executor, job, op

from dags.clickhouse.clocks import tell_of_skew
from dags.clickhouse.schema.apply import require_schema
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import ANSWER_ONLY, SHORT_RUN, answering
from dags.detection.waivers.rules import validated
from dags.detection.waivers.store import lift_waiver, read_waivers, set_waiver
from dags.domain.given_text import require_texts
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

    @op(config_schema=_WAIVER)
    def waive(context: OpExecutionContext, clickhouse: ClickHouseResource) -> str:
        """Set a waiver and print it."""
        with clickhouse.client(context.run_id) as client:
            require_schema(client)
            today = tell_of_skew(client, print).today
            waiver = validated(context.op_config, tables, f"waiver-{context.run_id[:8]}", today)
            set_waiver(client, waiver)
        print(f"SET      {waiver}")
        return waiver.waiver_id

    @job(executor_def=in_process_executor, tags=SHORT_RUN, config=answering("waive", _WAIVER))
    def waive_job() -> None:
        """Leave days as they are: known to be empty, or not worth a rebuild. Who, why and until when are required."""
        waive()

    return [waive_job, lift_waiver_job, list_waivers_job]


@op(config_schema=_LIFT)
def lift(context: OpExecutionContext, clickhouse: ClickHouseResource) -> None:
    """Lift a waiver and print it."""
    waiver_id, who = str(context.op_config["waiver_id"]), str(context.op_config["requested_by"]).strip()
    require_texts({"waiver_id": waiver_id, "requested_by": who}, required=("waiver_id", "requested_by"))
    with clickhouse.client(context.run_id) as client:
        require_schema(client)
        tell_of_skew(client, print)
        print(f"LIFTED   {lift_waiver(client, waiver_id, who)}")


@job(executor_def=in_process_executor, tags=SHORT_RUN, config=answering("lift", _LIFT))
def lift_waiver_job() -> None:
    """End a waiver: what is wrong is wrong again."""
    lift()


@op
def list_waivers(context: OpExecutionContext, clickhouse: ClickHouseResource) -> list[str]:
    """Print every waiver that is set, expired ones among them."""
    with clickhouse.client(context.run_id) as client:
        require_schema(client)
        today = tell_of_skew(client, print).today
        waivers = read_waivers(client)
    for waiver in waivers:
        print(f"{'HOLDS' if waiver.holds(today) else 'EXPIRED':<8} {waiver}")
    if not waivers:
        print("No waiver is set.")
    return [waiver.waiver_id for waiver in waivers]


@job(executor_def=in_process_executor, tags=SHORT_RUN, config=ANSWER_ONLY)
def list_waivers_job() -> None:
    """Which days and teams are waived, by whom, why, and until when?"""
    list_waivers()
