"""Says what was found and decided, to people and to programs.

Pure: no clock, no database, no Dagster. Tables for people fit 100 columns.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dags.domain.days import ONE_DAY, in_words, merged
from dags.domain.shards import shards_in_words, split_in_words
from dags.domain.text import by_words, counted, table_text, wrapped
from dags.repair.decision import NOTHING_TO_REPAIR

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from dags.detection.detection import Detection
    from dags.detection.verdicts import Alike, Verdicts
    from dags.repair.decision import Decision

# As many days as fit a line of metadata; the rest is counted.
SAMPLE = 10

# So many teams are named in a row of a table; more are counted.
MAX_SHOWN = 3


def missing_days(detection: Detection, table: str) -> tuple[date, ...]:
    """The days on which at least one enabled team is missing, newest first."""
    return tuple(sorted({one.day for one in detection.missing.groups if one.table == table}, reverse=True))


def missing_data(detection: Detection, decision: Decision) -> dict[str, Any]:
    """The report of ``check_missing_data_job``, for programs: what `summary_text` says, as JSON takes it.

    ``is_complete`` is what a script asks; ``status`` says it in words. ``should_run_backfill`` is False and ``unknown``
    not empty when a table could not be read: that is no answer, and the job fails.
    """
    details = {}
    for status in table_statuses(detection):
        if status.table not in detection.unknown:
            days = missing_days(detection, status.table)
            details[status.table] = {
                "missing_count": len(days),
                "sample_dates": [str(day) for day in days[:SAMPLE]],
                "complete_units": status.complete,
                "wrong_units": status.wrong,
                "reasons": dict(_by_reason(detection.wrong, status.table).most_common()),
            }
    return {
        "is_complete": is_complete(detection),
        "status": status_line(detection),
        "total_missing_partitions": sum(table["missing_count"] for table in details.values()),
        "tables_with_missing_data": [table for table, facts in details.items() if facts["missing_count"]],
        "should_run_backfill": decision.should_backfill,
        "lookback_days": detection.lookback_days,
        "details": details,
        "reasons": reasons(detection, decision),
        "unknown": dict(detection.unknown),
        "warnings": list(detection.warnings),
        "wrong_units": len(detection.wrong),
        "teams": detection.teams,
        "waived": [str(waiver) for waiver in detection.waivers],
        "outdated_units": sum(detection.outdated.values()),
    }


def reasons(detection: Detection, decision: Decision) -> list[str]:
    """The decision's reasons; of what could not be read nothing is decided, and of which shards that is so is said."""
    if not detection.unknown:
        return list(decision.reasons)
    known = [reason for reason in decision.reasons if reason != NOTHING_TO_REPAIR]
    return [*_undecided(detection), *known]


def _undecided(detection: Detection) -> list[str]:
    """Of what nothing is decided: of tables, where there are several shards only on those that could not be read."""
    if not detection.shards:
        return [f"nothing is decided of {', '.join(detection.unknown)}: unknown"]
    shards_by_tables: dict[str, list[str]] = defaultdict(list)
    for shard, one in detection.shards.items():
        if one.unknown:
            shards_by_tables[", ".join(one.unknown)].append(str(shard))
    words = [
        f"nothing is decided of {tables} on shard {', '.join(shards)}: unknown"
        for tables, shards in shards_by_tables.items()
    ]
    return words or ["nothing is decided of teams that lie on several shards: unknown"]


def data_gaps(detection: Detection) -> dict[str, Any]:
    """The report of ``show_data_gaps_job``: per table the missing days, merged into ranges, and the reasons; of
    several shards also the missing days of each, by its number.
    """
    gaps: dict[str, Any] = {}
    for table in detection.tables:
        if table in detection.unknown:
            gaps[table] = {"unknown": detection.unknown[table]}
            continue
        days = missing_days(detection, table)
        gaps[table] = {
            "missing_count": len(days),
            "missing_dates": [str(day) for day in sorted(days)],
            "date_ranges": [
                {"first": str(r.start), "last": str(r.end - ONE_DAY), "days": len(r)} for r in merged(days)
            ],
            "reasons": dict(_by_reason(detection.wrong, table).most_common()),
        }
        if detection.shards:
            gaps[table]["shards"] = _missing_by_shard(detection, table)
    return gaps


def _missing_by_shard(detection: Detection, table: str) -> dict[str, list[str]]:
    found: dict[int, set[date]] = defaultdict(set)
    for one in detection.missing.groups:
        if one.table == table:
            found[one.shard].add(one.day)
    return {str(shard): [str(day) for day in sorted(days)] for shard, days in sorted(found.items())}


@dataclass(frozen=True)
class TableStatus:
    """One watched table at a glance. ``words`` say what is the matter, ``days`` of which days; the numbers are 0 where
    nothing is known.
    """

    table: str
    is_complete: bool
    words: str
    days: str
    complete: int = 0
    wrong: int = 0
    missing_days: int = 0
    oldest: date | None = None


def table_statuses(detection: Detection) -> tuple[TableStatus, ...]:
    """Each watched table; complete only if it was read, a team is enabled and no judged unit is wrong."""
    found, days = [], _days(detection)
    for table in detection.tables:
        if table in detection.unknown:
            found.append(TableStatus(table, is_complete=False, words=f"unknown: {detection.unknown[table]}", days=days))
            continue
        wrong = _by_reason(detection.wrong, table)
        words = "; ".join(f"{reason}: {count:,}" for reason, count in wrong.most_common())
        words = words or ("not verified yet" if detection.unverified else "complete")
        found.append(
            TableStatus(
                table,
                is_complete=bool(detection.teams) and not wrong and not detection.unverified,
                words=words if detection.teams else "nothing is watched: no team is enabled",
                days=days,
                complete=detection.complete_by_table[table],
                wrong=wrong.total(),
                missing_days=len(missing_days(detection, table)),
                oldest=min((one.day for one in detection.wrong.groups if one.table == table), default=None),
            )
        )
    return tuple(found)


def is_complete(detection: Detection) -> bool:
    """Whether every watched table is: what is unknown, not verified yet or of no team is not."""
    return all(status.is_complete for status in table_statuses(detection))


def _by_reason(verdicts: Verdicts, table: str) -> Counter[str]:
    """How many units of a table are wrong for which reason."""
    found: Counter[str] = Counter()
    for one in verdicts.groups:
        if one.table == table:
            found[one.reason] += len(one)
    return found


def status_line(detection: Detection) -> str:
    """The first thing to read: whether all is well."""
    judged = _days(detection)
    if detection.unknown:
        tables = ", ".join(detection.unknown)
        if detection.is_partial:
            wrong = f"{len(detection.wrong):,} (table, team, day) of what was read are missing or wrong"
            what = f"{tables} could not be read on every shard"
            if not any(one.unknown for one in detection.shards.values()):
                what = split_in_words(detection.split)
            return f"UNKNOWN: {what}; {wrong}. {judged}"
        return f"UNKNOWN: {tables} could not be read. {judged}"
    if not detection.teams:
        return "NOTHING IS WATCHED: no team is enabled"
    if detection.unverified:
        return (
            f"NOT YET KNOWN: {len(detection.unverified)} days are not verified yet, the next detection goes on with "
            f"them; {len(detection.wrong):,} (table, team, day) of the others are missing or wrong. {judged}"
        )
    left = f" Waived: {len(detection.waived):,}." if detection.waived else ""
    if detection.wrong:
        return f"NOT COMPLETE: {len(detection.wrong):,} (table, team, day) are missing or wrong.{left} {judged}"
    return (
        f"COMPLETE: {sum(detection.complete_by_table.values()):,} (table, team, day) hold their source.{left} {judged}"
    )


def _days(detection: Detection) -> str:
    """Of how many teams and of which days all of it speaks."""
    span = detection.calendar.judged
    judged = f"{counted(detection.teams, 'team')}, {counted(len(span), 'day')} ({span})"
    return judged if len(span) else "no day is settled yet"


def freshness(detection: Detection) -> str:
    """How old the facts are: which days were read now, and since when nothing of the others has changed."""
    judged, read, left = len(detection.calendar.judged), detection.days_read, len(detection.unverified)
    if detection.is_blind:
        return "no table could be read"
    more = f"; {left} not verified yet" if left else ""
    if read + left >= judged or detection.oldest_reading is None:
        return f"{read} of {counted(judged, 'day')} read now{more}" if left else f"all {judged} days read now"
    since = f"since they were read, the first at {detection.oldest_reading:%Y-%m-%d %H:%M} UTC"
    if not read:
        return f"no day read now: nothing of them has changed {since}{more}"
    return f"{read} of {counted(judged, 'day')} read now; of the others nothing has changed {since}{more}"


def _also(detection: Detection) -> list[str]:
    """What is known and is no fault: waivers, and what an older logic version built."""
    lines = [wrapped(f"WAIVER   {waiver}") for waiver in detection.waivers]
    if detection.waived:
        lines.append(f"WAIVED   {len(detection.waived):,} (table, team, day) are wrong and left so")
    if detection.outdated:
        days = {day for _, day in detection.outdated}
        lines.append(
            wrapped(
                f"OUTDATED {sum(detection.outdated.values()):,} (table, team, day) of {in_words(days)} were built by "
                "an older logic version; WEB_ANALYTICS_BACKFILL_REBUILD_OUTDATED=1 lets the 02:00 check rebuild them"
            )
        )
    return lines


def _failures(detection: Detection) -> list[str]:
    """What could not be built and why, the most units first; of each error one unit stands for the others."""
    by_error: dict[str, list[Alike]] = defaultdict(list)
    for one in detection.wrong.groups:
        if one.failure:
            by_error[detection.errors.get(one.failure, one.failure)].append(one)
    by_count = sorted(((sum(map(len, group)), group[0]) for group in by_error.values()), key=lambda pair: -pair[0])
    lines = []
    for units, first in by_count[:MAX_SHOWN]:
        more = f" and {units - 1:,} more" if units > 1 else ""
        where = f"shard {first.shard}, " if first.shard else ""
        whose = f"{where}team {first.teams[0]}, {first.day}, {first.table}{more}"
        lines.append(wrapped(f"FAILED   {whose}: {first.failure}"))
    if len(by_count) > MAX_SHOWN:
        lines.append(f"FAILED   … and {len(by_count) - MAX_SHOWN:,} more errors: why_job with a day shows each")
    return lines


def unknown_words(detection: Detection) -> list[str]:
    """Why tables are unknown, each reason once."""
    return [f"{', '.join(names)}: {error}" for error, names in by_words(detection.unknown).items()]


def summary_text(detection: Detection, decision: Decision) -> str:
    """What ``check_missing_data_job`` prints."""
    rows: list[tuple[object, ...]] = [
        (s.table, "unknown", "unknown", "unknown", "unknown")
        if s.table in detection.unknown
        else (s.table, s.complete, s.wrong, s.missing_days, str(s.oldest or "-"))
        for s in table_statuses(detection)
    ]
    parts = [
        status_line(detection),
        "",
        table_text(rows, ["table", "complete units", "wrong units", "missing days", "oldest wrong"]),
    ]
    if detection.wrong:
        parts += ["", _gap_table(detection.wrong, 20)]
    parts += [
        "",
        *_failures(detection),
        *_also(detection),
        *(wrapped(f"WARNING  {warning}") for warning in detection.warnings),
    ]
    parts += [wrapped(f"UNKNOWN  {words}") for words in unknown_words(detection)]
    parts += [wrapped(f"DECISION {reason}") for reason in reasons(detection, decision)]
    parts += [wrapped(f"FACTS    {freshness(detection)}"), f"COST     {detection.cost}"]
    return "\n".join(parts)


def gaps_text(detection: Detection) -> str:
    """What ``show_data_gaps_job`` prints: every gap, the largest first."""
    parts = [status_line(detection), ""]
    parts.append(_gap_table(detection.wrong) if detection.wrong else _no_gaps(detection))
    parts += ["", *_failures(detection), *_also(detection)]
    parts += [wrapped(f"UNKNOWN  {words}") for words in unknown_words(detection)]
    parts += [wrapped(f"WARNING  {warning}") for warning in detection.warnings]
    parts += [wrapped(f"FACTS    {freshness(detection)}")]
    return "\n".join(parts)


def _no_gaps(detection: Detection) -> str:
    return "No gap is known of; what is unknown may have some." if detection.unknown else "No gaps."


def gaps_markdown(detection: Detection, characters: int) -> str:
    """The gaps as a Markdown list of at most ``characters``, the largest first; what does not fit is counted.

    A table's columns would not break where the UI's column of values ends, which is narrow: it would cut them off.
    """
    lines = [
        f"- {one.days}, {f'{one.where}, ' * bool(one.where)}{_whose(one.teams)}: {one.reason}, {one.table}"
        for one in _gaps(detection.wrong)
    ]
    room, shown = characters - 40, 0
    while shown < len(lines) and room >= len(lines[shown]) + 1:
        room -= len(lines[shown]) + 1
        shown += 1
    rest = [f"- … and {len(lines) - shown:,} more"] if shown < len(lines) else []
    return "\n".join([*lines[:shown], *rest]) or "none"


def _gap_table(verdicts: Verdicts, most: int | None = None) -> str:
    """A line per table, shard, reason and range of days, the most units first; of one server no shard is said."""
    gaps = _gaps(verdicts)
    has_shards = any(one.where for one in gaps)
    columns = ["table", *(["where"] if has_shards else []), "days", "teams", "reason"]
    rows = [
        (one.table, *([one.where] if has_shards else []), one.days, _named(one.teams), one.reason)
        for one in gaps[:most]
    ]
    return table_text(rows, columns)


class _GapLine(NamedTuple):
    """A range of days on each of which the same teams are wrong for one reason; ``where``: on which shard."""

    table: str
    where: str
    days: str
    teams: frozenset[int]
    reason: str


def _gaps(verdicts: Verdicts) -> list[_GapLine]:
    """Ranges of days, on each of which the same teams are wrong for one reason: none is named beside a day it has."""
    groups: dict[tuple[str, str, str], list[Alike]] = defaultdict(list)
    for one in verdicts.groups:
        groups[one.table, shards_in_words([one.shard]), one.reason].append(one)
    gaps: list[tuple[int, _GapLine]] = []
    for (table, where, reason), members in groups.items():
        teams_by_day: dict[date, frozenset[int]] = defaultdict(frozenset)
        for one in members:
            teams_by_day[one.day] |= frozenset(one.teams)
        days_by_teams: dict[frozenset[int], list[date]] = defaultdict(list)
        for day, teams in teams_by_day.items():
            days_by_teams[teams].append(day)
        for teams, some in days_by_teams.items():
            gaps += [
                (len(days) * len(teams), _GapLine(table, where, str(days), teams, reason)) for days in merged(some)
            ]
    gaps.sort(key=lambda gap: (-gap[0], gap[1].table, gap[1].days, gap[1].where, _named(gap[1].teams), gap[1].reason))
    return [one for _, one in gaps]


def _named(teams: Collection[int]) -> str:
    """Few teams by their ids, many by their number."""
    return ", ".join(map(str, sorted(teams))) if len(teams) <= MAX_SHOWN else counted(len(teams), "team")


def _whose(teams: Collection[int]) -> str:
    return _named(teams) if len(teams) > MAX_SHOWN else f"team{'s' * (len(teams) > 1)} {_named(teams)}"
