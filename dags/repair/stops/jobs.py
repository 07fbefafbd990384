"""The jobs by which a person stops every backfill at once, and lets them go on."""

from typing import Any

from dagster import Field, JobDefinition, OpExecutionContext, in_process_executor, job, op

from dags.clickhouse.clocks import tell_of_skew
from dags.clickhouse.schema.apply import require_schema
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import SHORT_RUN, answering
from dags.repair.stops.store import turn

_WHO: dict[str, Any] = {
    "reason": Field(str, description="Why; shown in every skip reason."),
    "requested_by": Field(str, description="Who says so."),
}


def _turning(name: str, *, is_stopped: bool, description: str, said: str) -> JobDefinition:
    @op(name=name, config_schema=_WHO)
    def turning(context: OpExecutionContext, clickhouse: ClickHouseResource) -> None:
        given = context.op_config
        with clickhouse.client(context.run_id) as client:
            require_schema(client)
            tell_of_skew(client, print)
            turn(client, is_stopped=is_stopped, reason=given["reason"], requested_by=given["requested_by"])
        print(said)

    @job(
        name=f"{name}_job",
        description=description,
        executor_def=in_process_executor,
        tags=SHORT_RUN,
        config=answering(name, _WHO),
    )
    def turning_job() -> None:
        turning()

    return turning_job


stop_backfills_job = _turning(
    "stop_backfills",
    is_stopped=True,
    description="Stop every backfill at once: none is launched, and queued ones build nothing. Daily builds go on.",
    said="STOPPED  no backfill is launched, and queued ones build nothing; a build that has begun ends by itself",
)
resume_backfills_job = _turning(
    "resume_backfills",
    is_stopped=False,
    description="Let backfills go on: the next tick launches what is due.",
    said="RESUMED  the next tick launches what is due",
)
