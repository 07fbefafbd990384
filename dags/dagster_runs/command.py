"""Makes a job of a command: what a person runs in a terminal, and what prints its answer.

Every command is a job of one op, which runs in process, takes the fields of a model as its whole configuration, refuses
what is wrong with them before anything is touched, and says first if clocks disagree.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic

from clickhouse_connect.driver.client import Client
from dagster import DagsterInstance, JobDefinition, OpExecutionContext, in_process_executor, job, op

from dags.clickhouse.clocks import tell_of_skew
from dags.clickhouse.engine import ANSWER_SECONDS
from dags.clickhouse.replicas.store import shard_at
from dags.clickhouse.schema.apply import require_schema
from dags.dagster_runs.console import answers_console, nothing_is_obeyed, say_in_any_encoding
from dags.dagster_runs.launchpad import WholeConfig, launchpad_fields
from dags.dagster_runs.output import Copiers
from dags.dagster_runs.resource import ClickHouseResource
from dags.dagster_runs.tags import KIND_TAG, SHORT_RUN, JobKind
from dags.domain.clock import Clocks
from dags.domain.errors import UserError
from dags.domain.given import Model, Nothing, Read, read
from dags.domain.shards import shard_line

# A command's answer is what it prints; Dagster's own hundred lines around it hide it. Errors are shown.
ANSWER_ONLY: Mapping[str, Any] = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


@dataclass(frozen=True)
class Command(Generic[Model]):
    """A command that runs: what it was given, and what it works with."""

    context: OpExecutionContext
    clickhouse: ClickHouseResource
    read: Read[Model]

    @property
    def given(self) -> Model:
        """Raises: UserError: it is not as it should be; every violation, each on a line of its own."""
        return self.read.required()

    @property
    def run_id(self) -> str:
        return self.context.run_id

    @property
    def instance(self) -> DagsterInstance:
        return self.context.instance

    @contextmanager
    def client(self, shard: int = 0, *, answer_seconds: float = ANSWER_SECONDS) -> Iterator[tuple[Client, Clocks]]:
        """A client on tables that are this code's, and both clocks; the person is told if they disagree.

        ``shard``: which one, where there are several, unless that which the run's tag names.
        ``answer_seconds``: how long a server may be silent.

        Raises:
            EngineError: no client.
            UserError: there are several shards, and neither names one of them.
            SchemaError: no schema yet, an older or a newer one, or a table that everything needs is not usable.
        """
        with self.clickhouse.client(self.run_id, answer_seconds=answer_seconds, shard=shard) as client:
            require_schema(client)
            yield client, tell_of_skew(client, print)

    def tell_shard(self, client: Client) -> None:
        """Tell the person of which shard alone the answer is, where there are several."""
        if line := shard_line(*shard_at(client)):
            print(line)

    @contextmanager
    def clients(self) -> Iterator[list[tuple[Client, Clocks]]]:
        """One of each shard, all before any is used: what is to be on all of them is begun on none where one is down.

        Raises:
            EngineError, SchemaError: as `client`.
        """
        with ExitStack() as opened:
            yield [opened.enter_context(self.client(shard)) for shard in self.clickhouse.shards]


def command(
    answer: Callable[[Command[Model]], Any],
    description: str,
    *,
    config: type[Model] = Nothing,  # type: ignore[assignment]
    refuses: bool = False,
    name: str = "",
    op_name: str = "",
    tags: Mapping[str, str] = SHORT_RUN,
    kind: JobKind = JobKind.QUESTION,
    known: Mapping[str, Sequence[str]] = MappingProxyType({}),
    pool: str | None = None,
) -> JobDefinition:
    """The job ``<name>_job`` of one op that answers; both are named after the function unless a name is given.

    ``kind``: what it is there for; a question changes nothing.

    ``known``: of a field that takes a name, the names there are; the launchpad completes them.

    ``refuses``: the answer itself refuses a configuration that is not as it should be, with more that it finds out.
    """
    name = name or answer.__name__
    node = op_name or name
    fields = launchpad_fields(config, known)

    @op(name=node, description=answer.__doc__ or description, config_schema=dict, pool=pool)
    def answering(context: OpExecutionContext, clickhouse: ClickHouseResource) -> Any:  # noqa: ANN401 -- whatever it is
        say_in_any_encoding()
        found = read(config, context.op_config or {})
        if not refuses:
            found.required()
        # Where a run was launched for somebody, nobody reads what it prints but in its logs.
        copiers = Copiers.of_this_process() if context.run.remote_job_origin is None else Copiers()
        try:
            with nothing_is_obeyed():
                answered = answer(Command(context, clickhouse, found))
        finally:
            copiers.let_out()
        if copiers.has_failed():
            raise UserError(
                "the answer could not be written to standard output: is its disk full, or did nobody read on? What was "
                f"asked for is done; the UI shows the answer with run {context.run_id[:8]}"
            )
        return answered

    def of_one_op(given: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"ops": {node: {"config": given or {}}}, **ANSWER_ONLY}

    @job(
        name=f"{name}_job",
        description=description,
        executor_def=in_process_executor,
        tags={**tags, KIND_TAG: str(kind)},
        logger_defs={"console": answers_console},
        config=WholeConfig(of_one_op, config_schema=fields),
    )
    def answers() -> None:
        answering()

    return answers
