"""The job that creates or migrates the tables."""

from dags.clickhouse.replicas.store import everywhere, place_of
from dags.clickhouse.schema.apply import apply_schema, require_schema
from dags.clickhouse.schema.declared import migrations
from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import JobKind
from dags.domain.given import Nothing
from dags.web_preaggregated.tables import WEB_TABLES


def apply_schema_op(asked: Command[Nothing]) -> list[str]:
    """Apply the numbered files that the database lacks, on each shard where there are several."""
    return [name for shard in asked.clickhouse.shards for name in _applied(asked, shard)]


def _applied(asked: Command[Nothing], shard: int) -> list[str]:
    of = f"shard {shard}: " * bool(shard)
    with asked.clickhouse.client(asked.run_id, create_database=True, shard=shard) as client:
        refused: list[str] = []
        applied = [migration.name for migration in apply_schema(client, WEB_TABLES, refused.append)]
        print(f"{of}{client.database} has schema version {migrations()[-1].version}")
        print(f"{of}applied: {', '.join(applied) or 'nothing, it was there'}")
        for name in everywhere(client) if place_of(client) is not None else ():
            print(f"{of}replica {name}: has it")
        for note in (*refused, *require_schema(client, WEB_TABLES).notes):
            print(f"WARNING  {of}{note}")
    return applied


apply_schema_job = command(
    apply_schema_op,
    "Create the database and its tables, or bring them to this code's version. Safe to run again at any time.",
    name="apply_schema",
    op_name="apply_schema_op",
    kind=JobKind.SCHEMA,
)
