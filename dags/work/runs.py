"""What Dagster runs have to do with work: what they ask of it, and what they show of what they carry out.

Its words, tags and metadata, and when a run has failed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver.client import Client
from dagster import AssetObservation, Failure, MetadataValue

from dags.dagster_runs.command import Command
from dags.dagster_runs.tags import TAG_PREFIX, root_of
from dags.settings import current_settings
from dags.work import control
from dags.work.audit.log import STOPPED, State, Status, Work
from dags.work.history import end_text, failures_text
from dags.work.kinds import KindOfWork
from dags.work.progress import ChunkState, Progress, chunks_text
from dags.work.runner import Listeners
from dags.work.webhook import Webhook

# After these a run that carried work out is not a success. A pause and a cancel are what somebody asked of this work.
_FAILED = {Status.FAILED, Status.RESTORED}


def asked_before(asked: Command[Any], client: Client, kind: KindOfWork) -> tuple[str, State | None]:
    """The id of what a run asks for, and its state where an earlier attempt of it has asked for that already."""
    root = root_of(asked.instance, asked.run_id)
    return control.asked_by(client, kind, root, lambda other: root_of(asked.instance, other) == root)


def act(asked: Command[Any], kind: KindOfWork, how: Callable[..., str]) -> None:
    """Do what a person asks of a piece of work, ``how`` being of `dags.work.control`; print what came of it.

    The configuration has its id under the name that its kind gives it, and who asks, and why.
    """
    given = asked.given
    with asked.client() as (client, _):
        who = {"requested_by": given.requested_by, "reason": given.reason}
        print(how(client, kind, getattr(given, kind.id_field), asked.run_id, **who))


@dataclass(frozen=True)
class Shown:
    """A piece of work in a run. ``asset`` is where its progress is shown, ``steps`` what its kind calls steps, ``text``
    what people read of it in the end.
    """

    asked: Command[Any]
    kind: KindOfWork
    work: Work
    asset: str
    text: Callable[[State], str]
    steps: str = "steps"

    def listeners(self, webhook: str) -> Listeners:
        """Who hears of it: the run, which says now what it works on, and a host where there is an address."""
        log, secret = self.asked.context.log, current_settings().backfill_webhook_token
        host = Webhook(webhook, secret.get_secret_value() if secret is not None else "", log.warning)
        self._tag(self.kind.word, self.work.work_id)
        print(f"\n{self.kind.word.upper()} {self.work.work_id}")
        return Listeners(log.info, self._chunk, host.notify)

    def end(self, state: State) -> None:
        """Show what came of it."""
        text = self.text(state)
        print(f"\n{text}")
        self._tag("status", state.status)
        self.asked.context.add_output_metadata({"status": state.status, "report": _monospaced(text)})

    def require_success(self, state: State) -> None:
        """Raises: Failure: it is not as it was to be, so the run has failed; Dagster does not try it again.

        Neither is it where all work of its kind is stopped: who waits for the run must not take it for done.
        """
        is_stopped = state.status == Status.PAUSED and state.end is not None and state.end.name == STOPPED
        if state.status not in _FAILED and not is_stopped:
            return
        by_setting = "WEB_ANALYTICS_BACKFILL_STOPPED unset, and the processes started again"
        ends_it = by_setting if current_settings().backfill_stopped else self.kind.resume_all_job
        next_step = f". When these may run again ({ends_it}), go on with it: {self.kind.job('resume')}"
        words = f"{state.work_id} is {state.status}: {end_text(state.end)}{next_step if is_stopped else ''}"
        raise Failure("\n".join([words, *failures_text(state)]), allow_retries=False)

    def _chunk(self, reached: Progress, words: str, chunks: tuple[ChunkState, ...]) -> None:
        print(f"{words}\n{reached}", flush=True)
        self._tag("percent", f"{reached.percent:.0f}")
        self.asked.context.log_event(
            AssetObservation(
                self.asset,
                description=f"{self.work.work_id}: {words}",
                metadata={
                    "progress": str(reached),
                    "percent": round(reached.percent, 1),
                    "seconds_left": round(reached.left, 1),
                    "chunks": _monospaced(chunks_text(chunks, self.steps)),
                },
            )
        )

    def _tag(self, name: str, value: str) -> None:
        self.asked.instance.add_run_tags(self.asked.run_id, {TAG_PREFIX + name: value})


def _monospaced(text: str) -> MetadataValue[Any]:
    return MetadataValue.md(f"```\n{text}\n```")
