"""The list of enabled teams is written whole, read back, kept when the new one looks broken, and in the dictionary."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dags.clickhouse.schema.apply import apply_schema
from dags.domain.clock import utc_now
from dags.team_selection.store import (
    Selection,
    TeamSelectionError,
    dictionary_mismatches,
    read_selection,
    write_selection,
)
from dags.tests.builds import TABLES, build
from dags.tests.clickhouse.schema import own_database
from dags.tests.conftest import ENGINES
from dags.tests.events import Event, at, insert
from dags.tests.runbook import symptom
from dags.tests.variants import server_in_stories
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from clickhouse_connect.driver.client import Client

pytestmark = server_in_stories

LIST, DICTIONARY = "web_pre_aggregated_teams", "web_pre_aggregated_teams_dict"


def in_dictionary(client: Client) -> set[int]:
    return {team for (team,) in client.query(f"SELECT team_id FROM dictionary('{DICTIONARY}')").result_rows}


def write_by_hand(client: Client, team: int, *, is_enabled: bool, after: timedelta = timedelta(0)) -> None:
    """What nobody should do: the list changes and the dictionary is not told."""
    rows = [[team, int(is_enabled), utc_now() + after]]
    client.insert(LIST, rows, column_names=["team_id", "is_enabled", "selected_at"])


def lists(selection: Selection) -> tuple[set[int], set[int]]:
    return set(selection.teams), set(selection.departed)


# --- Written and read back ----------------------------------------------------------------------------------


def test_before_anything_is_written_there_is_no_list(client: Client) -> None:
    assert read_selection(client) == Selection(frozenset(), frozenset(), None)


def test_the_list_is_read_back_from_the_table_and_from_the_dictionary(client: Client) -> None:
    teams = {3, 1, 2**64 - 1}
    written = write_selection(client, [3, 1, 3, 2**64 - 1])
    assert written == read_selection(client)
    assert lists(written) == (teams, set())
    assert written.selected_at is not None
    assert abs(written.selected_at - utc_now()) < timedelta(minutes=1)
    assert in_dictionary(client) == teams
    known = client.query(f"SELECT dictHas('{DICTIONARY}', toUInt64(3)), dictHas('{DICTIONARY}', toUInt64(2))")
    assert known.result_rows == [(1, 0)]
    assert dictionary_mismatches(client) == ()


def test_a_team_that_leaves_is_absent_from_list_and_dictionary_until_it_comes_back(client: Client) -> None:
    write_selection(client, [1, 2, 3])
    without = write_selection(client, [1, 3, 4])
    assert without == read_selection(client)
    assert lists(without) == ({1, 3, 4}, {2})
    assert in_dictionary(client) == {1, 3, 4}
    back = write_selection(client, [1, 2, 3, 4])
    assert lists(back) == ({1, 2, 3, 4}, set())
    assert in_dictionary(client) == {1, 2, 3, 4}


def test_the_rows_of_a_team_that_leaves_are_not_touched(client: Client) -> None:
    events = [Event(team, at("2026-01-10 10:00:00"), f"s{n}") for team in (1, 2, 3) for n in range(team)]
    insert(client, events)
    build(client, 1, 2, 3)
    write_selection(client, [1, 2, 3])

    def everything() -> dict[str, Sequence[Sequence[object]]]:
        return {
            table: client.query(f"SELECT _part, team_id, count() FROM {table} GROUP BY ALL ORDER BY ALL").result_rows
            for table in ("events", *TABLES, "web_pre_aggregated_builds")
        }

    before = everything()
    assert all({team for _, team, _ in rows} == {1, 2, 3} for rows in before.values())
    assert write_selection(client, [1, 2]).departed == {3}
    assert everything() == before


def test_writing_the_same_list_again_only_makes_it_newer(client: Client) -> None:
    first, second = write_selection(client, [1, 2, 3]), write_selection(client, [1, 2, 3])
    assert lists(first) == lists(second) == ({1, 2, 3}, set())
    assert first.selected_at < second.selected_at  # type: ignore[operator]
    assert client.query(f"SELECT team_id FROM {LIST} FINAL ORDER BY team_id").result_rows == [(1,), (2,), (3,)]


def test_thousands_of_teams_are_one_list(client: Client) -> None:
    teams = frozenset(range(1, 20_001))
    assert write_selection(client, teams).teams == teams
    assert write_selection(client, teams - {7}).departed == {7}
    assert in_dictionary(client) == teams - {7}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(st.frozensets(st.integers(1, 6)), min_size=1, max_size=4))
def test_whatever_lists_came_before_the_last_one_counts(client: Client, written: list[frozenset[int]]) -> None:
    client.command(f"TRUNCATE TABLE {LIST} SYNC")
    for teams in written:
        write_selection(client, teams, allow_shrink=True)
    found = read_selection(client)
    assert (found.teams, found.departed) == (written[-1], frozenset().union(*written) - written[-1])
    assert in_dictionary(client) == written[-1]
    assert dictionary_mismatches(client) == ()


# --- A list that looks broken -------------------------------------------------------------------------------

# The list before, the new one, and whether it is taken without a person's word.
CHANGES: dict[str, tuple[set[int], set[int], bool]] = {
    "the first list": (set(), {1}, True),
    "nobody, as before": (set(), set(), True),
    "the only team leaves": ({1}, set(), False),
    "the only team is replaced": ({1}, {2}, False),
    "one of two leaves": ({1, 2}, {1}, False),
    "one of three leaves": ({1, 2, 3}, {1, 2}, True),
    "two of three leave": ({1, 2, 3}, {1}, False),
    "two of four leave": ({1, 2, 3, 4}, {1, 2}, False),
    "two of five leave": ({1, 2, 3, 4, 5}, {1, 2, 3}, True),
    "all leave": ({1, 2, 3, 4}, set(), False),
    "half is replaced and the list is no shorter": ({1, 2, 3, 4}, {1, 2, 5, 6}, False),
    "all stay and many come": ({1, 2}, {1, 2, 3, 4, 5, 6}, True),
}


@pytest.mark.parametrize(("before", "after", "is_taken"), CHANGES.values(), ids=CHANGES.keys())
def test_a_list_that_loses_half_of_its_teams_at_once_is_held_until_a_person_allows_it(
    client: Client, before: set[int], after: set[int], *, is_taken: bool
) -> None:
    write_selection(client, before)
    old = read_selection(client)
    assert old.teams == before
    if not is_taken:
        with pytest.raises(TeamSelectionError) as refused:
            write_selection(client, after)
        assert symptom("only … of the … enabled teams would stay enabled").match(str(refused.value))
        assert str(refused.value) == (
            f"only {len(before & after)} of the {len(before)} enabled teams would stay enabled ({len(after)} in the "
            "new list): the last list stays. If that is meant, materialize web_analytics_team_selection once with "
            "the config allow_shrink: true"
        )
        assert read_selection(client) == old
        assert in_dictionary(client) == before
    written = write_selection(client, after, allow_shrink=not is_taken)
    assert lists(written) == (after, before - after)
    assert (written.selected_at is None) == (not before | after)
    assert in_dictionary(client) == after


def test_after_a_list_was_emptied_on_purpose_any_other_is_taken(client: Client) -> None:
    write_selection(client, [1, 2])
    emptied = write_selection(client, [], allow_shrink=True)
    assert lists(emptied) == (set(), {1, 2})
    assert write_selection(client, [3]).teams == {3}


def test_a_list_counts_after_one_that_a_host_stamped_whose_clock_was_ahead(client: Client) -> None:
    write_selection(client, [1, 2, 3])
    write_by_hand(client, 4, is_enabled=True, after=timedelta(days=8))
    write_by_hand(client, 3, is_enabled=True, after=timedelta(days=8))
    assert lists(write_selection(client, [1, 2, 3, 5])) == ({1, 2, 3, 5}, {4})
    assert in_dictionary(client) == {1, 2, 3, 5}


# --- The dictionary -----------------------------------------------------------------------------------------


def test_a_dictionary_that_was_not_reloaded_is_noticed_and_the_next_list_puts_it_right(client: Client) -> None:
    write_selection(client, [1, 2, 3, 4])
    write_by_hand(client, 9, is_enabled=True)
    write_by_hand(client, 2, is_enabled=False)
    assert read_selection(client).teams == {1, 3, 4, 9}
    assert in_dictionary(client) == {1, 2, 3, 4}
    assert dictionary_mismatches(client) == (2, 9)
    write_selection(client, [1, 3, 4, 9])
    assert dictionary_mismatches(client) == ()
    assert in_dictionary(client) == {1, 3, 4, 9}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dictionary_that_shows_something_else_after_its_reload_is_an_error(
    engine_dsn: Callable[[str], str], engine: str
) -> None:
    with own_database(engine_dsn(engine)) as (_, client):
        # An administrator's, made beforehand, that reads from somewhere else.
        client.command(
            f"CREATE DICTIONARY {DICTIONARY} (team_id UInt64, selected_at DateTime64(6, 'UTC')) PRIMARY KEY team_id "
            "SOURCE(CLICKHOUSE(QUERY 'SELECT toUInt64(2) AS team_id, now64(6) AS selected_at')) "
            "LAYOUT(HASHED()) LIFETIME(0)"
        )
        apply_schema(client, WEB_TABLES)
        with pytest.raises(TeamSelectionError) as refused:
            write_selection(client, [1, 2, 3])
        assert str(refused.value) == (
            f"after its reload {DICTIONARY} still disagrees about 2 teams (first: (1, 3)): "
            "look at last_exception in system.dictionaries"
        )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_dictionary_that_cannot_be_reloaded_is_an_error_that_names_it(
    engine_dsn: Callable[[str], str], engine: str
) -> None:
    with own_database(engine_dsn(engine)) as (_, client):
        apply_schema(client, WEB_TABLES)
        client.command(f"DROP DICTIONARY {DICTIONARY}")
        with pytest.raises(TeamSelectionError, match=DICTIONARY):
            write_selection(client, [1, 2, 3])
