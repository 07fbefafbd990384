"""How far open work has come, by its plan: which of its steps are done, and how long the rest takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.domain.errors import UserError
from dags.file_ingestion import plan as of_files
from dags.health.facts import Reached
from dags.managed_backfill import plan as managed
from dags.postgres_backfill import plan as of_postgres
from dags.sources.loads.log import FILES, POSTGRES
from dags.work.audit.log import MANAGED
from dags.work.audit.store import read_state
from dags.work.progress import progress, seconds_at_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.work.plan import Chunk

# A plan is read in 0.3 s a megabyte (measured), and a backfill of 2,000 teams on each of 30 days has a third of one.
MAX_PLAN_CHARACTERS = 500_000

_CHUNKS: Mapping[str, Callable[[str], Sequence[Chunk]]] = {
    MANAGED: lambda text: managed.from_yaml(text).chunks,
    POSTGRES: lambda text: of_postgres.from_yaml(text).ranges,
    FILES: lambda text: of_files.from_yaml(text).groups,
}


def read_reached(client: Client, work_id: str) -> Reached | None:
    """How far it has come; None where its plan is too long to be looked at in passing, or cannot be read."""
    state = read_state(client, work_id)
    if state is None or len(state.accepted.payload) > MAX_PLAN_CHARACTERS:
        return None
    try:
        chunks = _CHUNKS[state.work.kind](state.accepted.payload)
    except UserError:
        return None
    steps = sum(len(chunk.steps) for chunk in chunks)
    if not steps:
        return None
    reached = progress(chunks, state.done, seconds_at_work(state))
    return Reached(steps, reached.percent, reached.left)
