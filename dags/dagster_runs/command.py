"""Makes a job of a command: what a person runs in a terminal, and what prints its answer.

Every command is a job of one op, which runs in process, takes the op's fields as its whole configuration, refuses texts
that are not what they look like before anything is touched, and says first if clocks disagree.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from clickhouse_connect.driver.client import Client
from dagster import (
    ConfigMapping,
    DagsterInstance,
    Field,
    JobDefinition,
    OpExecutionContext,
    in_process_executor,
    job,
    op,
)

from dags.clickhouse.clocks import tell_of_skew
from dags.clickhouse.schema.apply import require_schema
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import SHORT_RUN
from dags.domain.clock import Clocks
from dags.domain.given_text import require_texts

# A command's answer is what it prints; Dagster's own hundred lines around it hide it. Errors are shown.
ANSWER_ONLY = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


@dataclass(frozen=True)
class Command:
    """A command that runs: what it was given, and what it works with."""

    context: OpExecutionContext
    clickhouse: ClickHouseResource
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return self.context.run_id

    @property
    def instance(self) -> DagsterInstance:
        return self.context.instance

    @contextmanager
    def client(self) -> Iterator[tuple[Client, Clocks]]:
        """A client on tables that are this code's, and both clocks; the person is told if they disagree.

        Raises:
            EngineError: no client.
            SchemaError: no schema yet, an older or a newer one, or a table that everything needs is not usable.
        """
        with self.clickhouse.client(self.run_id) as client:
            require_schema(client)
            yield client, tell_of_skew(client, print)


@dataclass(frozen=True)
class Texts:
    """The fields that hold a person's words: kept, shown, and so refused where they are not what they look like.

    ``required`` are those that may not be empty.
    """

    names: Collection[str] = ()
    required: Collection[str] = ()


def command(
    answer: Callable[[Command], Any],
    description: str,
    *,
    name: str = "",
    op_name: str = "",
    fields: Mapping[str, Field] | None = None,
    texts: Texts = Texts(),
    tags: Mapping[str, str] = SHORT_RUN,
    pool: str | None = None,
) -> JobDefinition:
    """The job ``<name>_job`` of one op that answers; both are named after the function unless a name is given."""
    name = name or answer.__name__
    node = op_name or name
    schema = dict(fields or {})

    @op(name=node, description=answer.__doc__ or description, config_schema=schema or None, pool=pool)
    def answering(context: OpExecutionContext, clickhouse: ClickHouseResource) -> Any:  # noqa: ANN401 -- whatever it is
        given = dict(context.op_config or {})
        require_texts({one: given[one] for one in (*texts.names, *texts.required)}, required=texts.required)
        return answer(Command(context, clickhouse, given))

    @job(
        name=f"{name}_job",
        description=description,
        executor_def=in_process_executor,
        tags=dict(tags),
        config=_fields_of(node, schema) if schema else ANSWER_ONLY,
    )
    def of_one_op() -> None:
        answering()

    return of_one_op


def _fields_of(node: str, schema: Mapping[str, Field]) -> ConfigMapping:
    """A job's configuration that is its one op's fields and nothing around them."""

    def config(given: dict[str, Any]) -> dict[str, Any]:
        return {"ops": {node: {"config": given}}, **ANSWER_ONLY}

    return ConfigMapping(config_fn=config, config_schema=dict(schema))
