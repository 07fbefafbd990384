"""The code location and one job more, which does nothing: what a command costs before it does anything."""

from dagster import Definitions, in_process_executor, job, op

from dags import definitions


@op
def do_nothing() -> None:
    """Do nothing."""


@job(executor_def=in_process_executor)
def empty_job() -> None:
    """The peer of the diagnostics: as they are, less the work."""
    do_nothing()


# Dagster loads a module that holds one `Definitions`, hence no name for the other.
defs = Definitions.merge(definitions.defs, Definitions(jobs=[empty_job]))
