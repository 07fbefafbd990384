"""The code location and two jobs more: one does nothing, one opens the engine and asks nothing of a table.

What a command costs before it does anything, and before it does anything of ours.
"""

from dagster import Definitions, OpExecutionContext, in_process_executor, job, op

from dags import definitions
from dags.dagster_runs.resource import ClickHouseResource


@op
def do_nothing() -> None:
    """Do nothing."""


@job(executor_def=in_process_executor)
def empty_job() -> None:
    """The peer of the diagnostics: as they are, less the work."""
    do_nothing()


@op
def open_the_engine(context: OpExecutionContext, clickhouse: ClickHouseResource) -> None:
    """Load and open the engine, and have it answer."""
    with clickhouse.client(context.run_id) as client:
        client.command("SELECT 1")


@job(executor_def=in_process_executor)
def opening_job() -> None:
    """What the engine costs by itself."""
    open_the_engine()


# Dagster loads a module that holds one `Definitions`, hence no name for the other.
defs = Definitions.merge(definitions.defs, Definitions(jobs=[empty_job, opening_job]))
