"""The jobs by which people see what they were told, want to hear nothing of a cause, and try their channels."""

from datetime import timedelta
from typing import Any

from dagster import JobDefinition
from pydantic import Field

from dags.alerts.channels import VARIABLE, read_channels
from dags.alerts.deliver import deliver
from dags.alerts.messages import trial
from dags.alerts.mutes import Mute, is_muted, with_mute
from dags.alerts.shown import as_dict, as_text
from dags.alerts.store import read_memory, read_mutes, write_mutes
from dags.dagster_runs.command import Command, command
from dags.dagster_runs.tags import JobKind
from dags.domain import clock
from dags.domain.errors import UserError
from dags.domain.given import Given, Nothing, Words, whole
from dags.settings import current_settings


class MuteConfig(Given):
    """Of what nothing is to be told, for how long, who says so and why."""

    key: Words = Field(description="A cause's key, as its message has it; gap:* for all that begin so.")
    hours: int = whole(24, 0, 8760, "hours", "For how long; 0 ends it.")
    requested_by: Words = Field(description="Who says so.")
    reason: Words = Field(description="Why; shown by show_alerts_job.")


def alert_jobs() -> list[JobDefinition]:
    """The jobs."""
    return [
        command(show_alerts, "What people were told of, when and by how many channels; and what is muted."),
        command(
            mute_alert,
            "Tell nobody of a cause for some hours, but when it is over.",
            config=MuteConfig,
            kind=JobKind.ALERT,
        ),
        command(
            send_test_alert,
            "Send a test message to each channel of alerts; fails where one does not take it.",
            kind=JobKind.ALERT,
        ),
    ]


def show_alerts(asked: Command[Nothing]) -> dict[str, Any]:
    """Print and return what was told of each cause."""
    settings, now = current_settings(), clock.utc_now()
    mark, channels = settings.clickhouse_dsn.mark, read_channels(settings)
    memory, mutes = read_memory(asked.instance, mark), read_mutes(asked.instance, mark)
    shown = as_dict(memory, mutes, [channel.id for channel in channels], now)
    print(as_text(shown))
    return shown


def mute_alert(asked: Command[MuteConfig]) -> None:
    """Mute a cause, or end that. Of two at the same moment one is lost: show_alerts_job says which hold."""
    given, now, mark = asked.given, clock.utc_now(), current_settings().clickhouse_dsn.mark
    mute = Mute(given.key, now + timedelta(hours=given.hours), given.requested_by, given.reason)
    mutes = with_mute(read_mutes(asked.instance, mark), mute, now)
    write_mutes(asked.instance, mark, mutes)
    if given.hours:
        print(f"MUTED  {given.key} until {mute.until:%Y-%m-%d %H:%M} UTC; that it is over is told all the same")
    else:
        print(f"UNMUTED  {given.key}: what it still is the next tick tells")
        if is_muted(mutes, given.key, now):
            print("BUT      another mute has it too: show_alerts_job says which, and hours: 0 ends that one as well")


def send_test_alert(asked: Command[Nothing]) -> dict[str, str]:
    """Send a message to each channel, and say which took it.

    Raises:
        UserError: there is no channel, or one did not take it.
    """
    settings = current_settings()
    channels = read_channels(settings)
    if not channels:
        raise UserError(f"there is no channel: name some in {VARIABLE}, as the README's Alerts has it")
    message = trial(str(settings.clickhouse_dsn))
    found = {}
    for outcome in deliver(dict.fromkeys(channels, (message,))):
        found[str(outcome.channel)] = outcome.why
        asked.context.log.info("%s: %s", outcome.channel, outcome.why or "took it")
    words = {str(channel): found[str(channel)] for channel in channels}
    print("\n".join(f"{name}: {f'did NOT take it: {why}' if why else 'took it'}" for name, why in words.items()))
    if failed := [name for name, why in words.items() if why]:
        raise UserError(
            f"{', '.join(failed)} of {VARIABLE} did not take the message; what apprise says of it shows: "
            "apprise -vvv -b test '<its URL>'"
        )
    return dict.fromkeys(words, "took it")
