"""The job that creates or migrates the tables."""

from dagster import OpExecutionContext, in_process_executor, job, op

from dags.clickhouse.schema.apply import apply_schema, require_schema
from dags.clickhouse.schema.declared import migrations
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import ANSWER_ONLY, SHORT_RUN
from dags.web_preaggregated.tables import WEB_TABLES


@op
def apply_schema_op(context: OpExecutionContext, clickhouse: ClickHouseResource) -> list[str]:
    """Apply the numbered files that the database lacks."""
    with clickhouse.client(context.run_id, create_database=True) as client:
        applied = [migration.name for migration in apply_schema(client)]
        print(f"{client.database} has schema version {migrations()[-1].version}")
        print(f"applied: {', '.join(applied) or 'nothing, it was there'}")
        for note in require_schema(client, WEB_TABLES).notes:
            print(f"WARNING  {note}")
    return applied


@job(executor_def=in_process_executor, tags=SHORT_RUN, config=ANSWER_ONLY)
def apply_schema_job() -> None:
    """Create the database and its tables, or bring them to this code's version. Safe to run again at any time."""
    apply_schema_op()
