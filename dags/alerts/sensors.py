"""Every five minutes: asks whether all is well, and tells each channel what it has not heard yet.

A tick that could not tell a channel everything fails, with the channel's name: by that the others, `health_job` and
the checks say that it is dead. That the daemon does not run no sensor of its own can say: whoever expects the
heartbeat does.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from dagster import (
    DagsterInstance,
    DefaultSensorStatus,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from dags.alerts.channels import VARIABLE, Channel, read_channels
from dags.alerts.memory import Memory, until
from dags.alerts.mutes import is_muted
from dags.alerts.rules import Look, judged
from dags.alerts.store import alone, read_memory, read_mutes, write_memory
from dags.alerts.telling import tell, untold
from dags.dagster_runs.resource import ClickHouseResource
from dags.domain import clock
from dags.domain.errors import EngineBusyError, EngineSlowError, UserError
from dags.domain.text import counted
from dags.health.instance import ALERTS_SENSOR
from dags.health.looked import leave_answer
from dags.health.reading import Examined, Served, examine_in_tick
from dags.schedules import ALERTS_INTERVAL_SECONDS
from dags.settings import Settings, current_settings
from dags.web_preaggregated_backfill.catalog import leave_or_tell
from dags.work.webhook import Webhook

# Of the 60 s that a tick has: what asking may take, and the heartbeat. `dags.alerts.deliver.SECONDS` lie between.
# Asking takes two or three; but where the embedded engine's library is not in memory its start alone took 30.
READ_SECONDS, HEARTBEAT_SECONDS = 38.0, 4.0

# The embedded engine serves one process at a time, and starts anew for each tick. That it has not answered for longer
# is a reason to call somebody.
BUSY = timedelta(hours=1)


class UntoldError(UserError):
    """A channel did not take what it was to be told; the next tick tries again."""


def alerts_sensor(served: Served) -> SensorDefinition:
    """The sensor, for what is served."""

    @sensor(
        name=ALERTS_SENSOR,
        minimum_interval_seconds=ALERTS_INTERVAL_SECONDS,
        description="Every five minutes: tells the channels of WEB_ANALYTICS_ALERT_URLS what needs a person, once.",
        default_status=DefaultSensorStatus.RUNNING,
    )
    def web_analytics_alerts_sensor(context: SensorEvaluationContext, clickhouse: ClickHouseResource) -> SkipReason:
        """Tell people what they have not heard yet."""
        settings = current_settings()
        channels = read_channels(settings)
        failed: dict[Channel, str] = {}
        words, is_seen = f"nobody is to be told: {VARIABLE} is not set", True
        if channels:
            with alone(context.instance) as is_alone:
                if not is_alone:
                    return SkipReason("another tick tells people right now")
                words, failed, is_seen = _tell(context.instance, clickhouse, served, settings, channels)
        # Where nothing is seen, or nobody can be told, who waits for it is to be alarmed.
        if is_seen and (not channels or len(failed) < len(channels)):
            _beat(settings, words, context.log.warning)
        if failed:
            raise UntoldError(
                f"{'; '.join(f'{channel} of {VARIABLE}: {why}' for channel, why in failed.items())}. What they did not "
                "take the next tick tries again; send_test_alert_job tries now"
            )
        return SkipReason(words)

    return web_analytics_alerts_sensor


def _tell(
    instance: DagsterInstance,
    clickhouse: ClickHouseResource,
    served: Served,
    settings: Settings,
    channels: tuple[Channel, ...],
) -> tuple[str, dict[Channel, str], bool]:
    """What was told, in words; the channels that did not take it, with why; and whether the engine has answered."""
    mark, now = settings.clickhouse_dsn.mark, clock.utc_now()
    memory, mutes = until(read_memory(instance, mark), now), read_mutes(instance, mark)
    quiet = partial(is_muted, mutes, now=now)
    found = _examined(instance, clickhouse, served, memory, now)
    if memory.known_at is None or (found is not None and found.evaluation is not None):
        memory = replace(memory, known_at=now)
    if found is not None:
        hours = settings.alert_reminder_hours
        reminder = timedelta(hours=hours) if hours else None
        ids = tuple(channel.id for channel in channels)
        memory = judged(memory, Look(found.health.causes, now, ids, reminder, quiet))
    write_memory(instance, mark, memory)
    outcomes = tell(instance, settings, channels, memory, is_muted=quiet, now=now)
    if outcomes and found is not None and found.evaluation is not None:
        leave_or_tell(instance, found.evaluation)  # what people are told the UI shows too
    if found is not None:
        leave_answer(instance, found, served)
    sent = counted(sum(not one.why for one in outcomes), "message")
    told = f"{sent} of {len(outcomes):,} sent" if untold(outcomes) else f"{sent} sent"
    answer = found.health.answer if found is not None else "the engine does not answer yet"
    return f"{answer}: {told if outcomes else 'nothing new to tell'}", untold(outcomes), found is not None


def _examined(
    instance: DagsterInstance, clickhouse: ClickHouseResource, served: Served, memory: Memory, now: datetime
) -> Examined | None:
    """What is so now; None while the embedded engine is another process's, or slow, unless it has been for long."""
    in_tick = partial(clickhouse.in_tick, until=time.monotonic() + READ_SECONDS)
    is_patient = memory.known_at is None or now - memory.known_at < BUSY
    try:
        return examine_in_tick(instance, in_tick, served, is_patient=is_patient)
    except (EngineBusyError, EngineSlowError):
        return None


def _beat(settings: Settings, words: str, tell_of: Callable[[str], None]) -> None:
    if settings.heartbeat_url is not None:
        webhook = Webhook(settings.heartbeat_url.get_secret_value(), "", tell_of, HEARTBEAT_SECONDS)
        webhook.notify({"sensor": ALERTS_SENSOR, "answer": words})
