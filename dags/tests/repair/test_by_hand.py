"""The commands by which a person rebuilds days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from dags.detection.rules import Cause, Kind, Verdict
from dags.detection.verdicts import Verdicts
from dags.domain.units import Unit
from dags.repair.by_hand import COMMANDS, ByHand, rebuild_by_hand
from dags.repair.estimate import Building

DAY = date(2026, 1, 9)
BUILDING = Building({"a": "one_job", "b": "one_job", "c": "other_job"}, op_by_table={"a": "op", "b": "op", "c": ""})


def of(*units: tuple[str, int, int], allow_shrink: bool = False) -> ByHand:
    verdicts = (
        Verdict(Unit(table, team, DAY - timedelta(ago)), Kind.MISSING, Cause.NEVER_BUILT) for table, team, ago in units
    )
    return rebuild_by_hand(Verdicts.of(verdicts).groups, BUILDING, allow_shrink=allow_shrink)


def test_the_teams_of_both_tables_of_a_job_are_rebuilt_together_and_a_job_for_all_names_none() -> None:
    assert of(("a", 7, 0), ("b", 5, 0), ("c", 5, 0), allow_shrink=True) == ByHand(
        (
            (
                "dg launch --job one_job --partition 2026-01-09 "
                "-c <(echo '{ops: {op: {config: {team_ids: [5, 7], allow_shrink: true}}}}')"
            ),
            "dg launch --job other_job --partition 2026-01-09",
        )
    )


def test_on_shards_each_command_is_of_one_with_the_tag_that_names_it_and_of_its_teams_alone() -> None:
    [here] = Verdicts.of([Verdict(Unit("a", 7, DAY), Kind.MISSING)]).groups
    [there] = Verdicts.of([Verdict(Unit("b", 5, DAY), Kind.MISSING)]).groups
    [before] = Verdicts.of([Verdict(Unit("b", 5, DAY - timedelta(1)), Kind.MISSING)]).groups
    groups = [replace(here, shard=1), replace(there, shard=2), replace(before, shard=2)]
    execute = "dagster job execute -m dags.definitions -j one_job --tags"
    assert rebuild_by_hand(groups, BUILDING).commands == (
        (
            f"""{execute} '{{"dagster/partition": "2026-01-09", "web_analytics_backfill/shard": "1"}}' """
            "-c <(echo '{ops: {op: {config: {team_ids: [7]}}}}')"
        ),
        (
            "for day in 2026-01-09 2026-01-08; do "
            f"""{execute} '{{"dagster/partition": "'$day'", "web_analytics_backfill/shard": "2"}}' """
            "-c <(echo '{ops: {op: {config: {team_ids: [5]}}}}'); done"
        ),
    )


def test_where_all_enabled_teams_are_meant_and_are_many_none_is_named() -> None:
    def commands(enabled: int, *, allow_shrink: bool = False) -> tuple[str, ...]:
        verdicts = Verdicts.of(Verdict(Unit("a", team, DAY), Kind.MISSING) for team in range(1, 301))
        return rebuild_by_hand(verdicts.groups, replace(BUILDING, teams=enabled), allow_shrink=allow_shrink).commands

    assert commands(300) == ("dg launch --job one_job --partition 2026-01-09",)
    [allowed] = commands(300, allow_shrink=True)
    assert allowed.endswith("-c <(echo '{ops: {op: {config: {allow_shrink: true}}}}')")
    assert len(commands(301)) == COMMANDS


def test_of_a_table_whose_job_is_not_known_there_is_no_command() -> None:
    assert of(("unknown", 7, 0)) == ByHand()


def test_there_are_so_many_commands_and_the_others_are_counted() -> None:
    found = of(*(("a", 7 + ago, ago) for ago in range(COMMANDS + 2)))
    assert (len(found.commands), found.more, found.more_words) == (COMMANDS, 2, "; 2 more after these, ask again")
    assert "--partition 2026-01-09" in found.commands[0]


def test_a_cost_is_of_days_and_jobs_and_no_sum_is_given_where_a_part_of_it_is_not_known() -> None:
    places = [(table, DAY - timedelta(day)) for table in "abc" for day in (0, 1)]
    rows = dict.fromkeys(places, 1000)
    known = Building(BUILDING.job_by_table, rows, {"a": 0.001, "b": 0.002})
    # Two tables of one job are built from the same rows at once.
    assert known.estimate_in_words(places) == "2 days, about 4,000 rows, 4.0 s"
    assert known.estimate_in_words([*places, ("a", DAY - timedelta(2))]) == "3 days, how many rows is not known"
