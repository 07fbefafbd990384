"""Whether what works alone still does: the daemon, sensors and schedules, and nobody has stopped them.

Pure: no clock, no database, no Dagster. Where the daemon is dead all of them are late, and that is one cause.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from dags.health.causes import Cause, Check, State
from dags.health.facts import Section
from dags.health.words import age_in_words, first_words, launch, listed
from dags.repair.decision import Trigger

if TYPE_CHECKING:
    from datetime import datetime

    from dags.health.facts import Facts, Ticking
    from dags.repair.stops.store import Stop

# Dagster's daemons say that they live every 45 s, unless one of their rounds takes longer: a sensor may take a minute.
DAEMON_SILENT = timedelta(minutes=10)

# One that has said nothing for so long may be dead; whoever is known to none may be so for that.
BEATS = timedelta(minutes=3)

# So late a tick may be: others come before it, and code servers start again.
TICK_LATE = timedelta(minutes=10)

# A sensor that fails is asked again by itself; one that failed so often in a row, for so long, goes on failing.
FAILURES, FAILING = 2, timedelta(hours=1)

_BY_ITSELF = frozenset({Check.RUNS_BY_ITSELF})


def is_daemon_dead(facts: Facts) -> bool:
    """Whether no daemon says that it lives; whoever could not be asked is not said to be dead."""
    return not _is_unread(facts) and (facts.daemon_at is None or facts.at - facts.daemon_at > DAEMON_SILENT)


def _is_ahead(facts: Facts, stamp: datetime | None) -> bool:
    """Whether a stamp is of the future, and says nothing of when it was: the clock that made it was wrong, or ours is.

    Believed, it would be a sign of life until that time has come.
    """
    return stamp is not None and facts.believed_until is not None and stamp > facts.believed_until


def _is_unread(facts: Facts) -> bool:
    return Section.TRIGGERS in facts.unread


def trigger_causes(facts: Facts) -> tuple[Cause, ...]:
    """The causes; none where Dagster could not be asked."""
    made = []
    if facts.stop is not None:
        made.append(_stopped(facts.stop))
    if _is_unread(facts):
        return tuple(made)
    is_dead = is_daemon_dead(facts)
    if is_dead:
        made.append(_dead(facts.daemon_at, facts.at))
    is_daemon_ahead = _is_ahead(facts, facts.daemon_at)
    if is_daemon_ahead and facts.daemon_at is not None:
        made.append(_daemon_ahead(facts.daemon_at))
    others = (
        # Where the daemon's clock is wrong its ticks are of the future too, and that is one cause.
        (None if is_daemon_ahead else _tick_ahead(one))
        if one.is_on and one.is_known and not is_dead and _is_ahead(facts, one.ticked_at)
        else _of(one, facts.at, facts.daemon_at, is_dead=is_dead)
        for one in facts.ticking
    )
    return (*made, *(cause for cause in others if cause is not None))


def halted(facts: Facts, repairing: tuple[str, ...]) -> str:
    """Why nothing is repaired by itself, in words; empty if something is. ``repairing``: the triggers that launch."""
    if facts.stop is not None:
        return f"nothing: backfills are {facts.stop}"
    if is_daemon_dead(facts):
        return "nothing: Dagster's daemon does not run"
    off = [one.name for one in facts.ticking if one.name in repairing and not one.is_on]
    return f"nothing: {listed(off)} are off" if off and len(off) == len(repairing) else ""


def off(facts: Facts, repairing: tuple[str, ...]) -> dict[Trigger, str]:
    """Which of the two triggers that launch repairs is off, in words. The check of 02:00 UTC has a schedule for each
    job: it is off where all of them are; of one alone its own cause tells.
    """
    found = {}
    for trigger in (Trigger.SENSOR, Trigger.SCHEDULE):
        of_it = [one for one in facts.ticking if one.name in repairing and one.is_sensor is (trigger is Trigger.SENSOR)]
        if of_it and not any(one.is_on for one in of_it):
            names = [one.name for one in of_it]
            found[trigger] = f"{listed(names)} {'are' if len(names) > 1 else 'is'} off"
    return found


def next_tick(facts: Facts, repairing: tuple[str, ...]) -> datetime | None:
    """When the sensor that launches repairs ticks next, as far as that is known and not over."""
    due = [one.due_at for one in facts.ticking if one.is_sensor and one.name in repairing and one.is_on]
    return next((at for at in due if at is not None and at > facts.at), None)


def _stopped(stop: Stop) -> Cause:
    by_setting = stop.at is None
    return Cause(
        "switch",
        State.NEEDS_YOU,
        "backfills are stopped"
        + (" by WEB_ANALYTICS_BACKFILL_STOPPED=1" if by_setting else f" by {stop.requested_by}{stop.where}")
        + ", which stops them on all" * bool(stop.shards),
        "" if by_setting else f"their reason: {stop.reason}",
        stop.at,
        "nothing is launched; daily builds and loads go on",
        "once the reason is gone, " + ("unset it and start the processes again" if by_setting else "let them go on"),
        "" if by_setting else launch("resume_all_backfills_job", requested_by="$(whoami)", reason="it is over"),
        checks=_BY_ITSELF,
    )


def _dead(daemon_at: datetime | None, now: datetime) -> Cause:
    return Cause(
        "daemon",
        State.NEEDS_YOU,
        "Dagster's daemon does not run" if daemon_at is not None else "Dagster's daemon has never run",
        "every sensor and schedule: nothing is built, loaded or repaired by itself",
        daemon_at,
        f"silent for {age_in_words(now - daemon_at)}" if daemon_at is not None else "",
        "start it, with the environment of the webserver; make dev runs both",
        "dagster-daemon run",
        checks=_BY_ITSELF,
    )


def _daemon_ahead(daemon_at: datetime) -> Cause:
    return Cause(
        "daemon",
        State.UNKNOWN,
        f"nobody knows whether Dagster's daemon runs: its last sign is of {daemon_at:%Y-%m-%d %H:%M}, in the future: "
        "the clocks of this host and the daemon's disagree",
        "every sensor and schedule",
        to_do="correct the clock that is wrong, then ask the daemon itself",
        command="dagster-daemon liveness-check",
        checks=_BY_ITSELF,
    )


def _tick_ahead(one: Ticking) -> Cause:
    word = "sensor" if one.is_sensor else "schedule"
    return Cause(
        f"{word}:{one.name}",
        State.UNKNOWN,
        f"nobody knows whether {one.name} ticks: its last tick is of {one.ticked_at:%Y-%m-%d %H:%M}, in the future: "
        "the clocks of this host and the daemon's disagree, or did",
        doing="Dagster may not ask it again before that time has come",
        to_do=f"correct the clock that is wrong; then look at the ticks of the {word} in the UI (Automation)",
        checks=_BY_ITSELF,
    )


def _of(one: Ticking, now: datetime, daemon_at: datetime | None, *, is_dead: bool) -> Cause | None:
    word = "sensor" if one.is_sensor else "schedule"
    key = f"{word}:{one.name}"
    if not one.is_on:
        return Cause(
            key, State.NEEDS_YOU if one.is_needed else State.NOTED, f"{one.name} is off",
            doing=f"its last tick was {one.ticked_at:%Y-%m-%d %H:%M}" if one.ticked_at is not None else "",
            to_do=f"switch the {word} on, in the UI (Automation) or by its command",
            command=f"dagster {word} start {one.name}", checks=_BY_ITSELF,
        )  # fmt: skip
    may_be_dead = daemon_at is not None and now - daemon_at > BEATS  # then that is the cause, once it is sure
    if is_dead or (may_be_dead and not one.is_known):
        return None
    if not one.is_known:
        return Cause(
            key, State.UNKNOWN, f"{one.name} is known to no daemon yet",
            doing="a daemon takes a minute to see a location that was loaded anew",
            to_do="ask again in a minute. If it stays so, have this location in the workspace of the daemon, as "
            "workspace.yaml has it", checks=_BY_ITSELF,
        )  # fmt: skip
    if (
        one.due_at is not None
        and now - one.due_at > TICK_LATE
        and (one.ticked_at is None or one.ticked_at < one.due_at)
    ):
        return Cause(
            key, State.NEEDS_YOU, f"{one.name} no longer ticks", since=one.due_at,
            doing=f"its last tick was {one.ticked_at:%Y-%m-%d %H:%M}" if one.ticked_at is not None else "it never did",
            to_do="look whether its code server answers: the UI shows the location with its error",
            command="dagster-daemon liveness-check", checks=_BY_ITSELF,
        )  # fmt: skip
    if one.failures and one.failed_since is not None:
        tries_soon = one.is_sensor and (one.failures < FAILURES or now - one.failed_since < FAILING)
        return Cause(
            key,
            State.REPAIRING if tries_soon else State.NEEDS_YOU,
            f"{one.name} fails: {first_words(one.error)}",
            since=one.failed_since,
            doing="it is asked again by itself",
            to_do=""
            if tries_soon
            else f"put right what it says; the UI has the whole error at its tick (Automation, {word})",
            checks=_BY_ITSELF,
            error=one.error,
        )
    return None
