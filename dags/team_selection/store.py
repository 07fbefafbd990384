"""The list of enabled teams in ClickHouse: written whole, read back, and compared with its dictionary."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.replicas.rules import unusable
from dags.clickhouse.replicas.store import everywhere, synced
from dags.clickhouse.schema.books import append
from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.team_selection"


class TeamSelectionError(UserError):
    """The new list was not accepted, or the dictionary does not show it."""


@dataclass(frozen=True)
class Selection:
    """The list as last written. ``selected_at`` is None when none was ever written."""

    teams: frozenset[int]
    departed: frozenset[int]
    selected_at: datetime | None


def read_selection(client: Client) -> Selection:
    rows = Sql(_PACKAGE, client).rows("selection")
    return Selection(
        frozenset(team for team, is_enabled, _ in rows if is_enabled),
        frozenset(team for team, is_enabled, _ in rows if not is_enabled),
        max((selected_at for *_, selected_at in rows), default=None),
    )


def dictionary_mismatches(client: Client) -> tuple[int, ...]:
    """Teams that the list and the dictionary disagree about; empty when the dictionary is fresh."""
    return tuple(team for team, _ in Sql(_PACKAGE, client).rows("dictionary_mismatches"))


def write_selection(client: Client, teams: Iterable[int], *, allow_shrink: bool = False) -> Selection:
    """Make ``teams`` the list: one insert, so readers see the old list or the new one.

    Rows of a team that leaves are not touched; it is only no longer judged. A list that would lose half of its
    teams or more at once is refused unless a person allows it: that is what a broken source looks like.

    Raises:
        TeamSelectionError: the list would halve or empty, or the dictionary does not answer with it afterwards.
    """
    before = read_selection(client)
    after = frozenset(teams)
    kept = len(before.teams & after)
    if before.teams and kept * 2 <= len(before.teams) and not allow_shrink:
        raise TeamSelectionError(
            f"only {kept} of the {len(before.teams)} enabled teams would stay enabled ({len(after)} in the new "
            "list): the last list stays. If that is meant, materialize web_analytics_team_selection once with the "
            "config allow_shrink: true"
        )
    gone = (before.teams | before.departed) - after
    (at,) = Sql(_PACKAGE, client).row("next_instant")
    rows = [[team, 1, at] for team in sorted(after)] + [[team, 0, at] for team in sorted(gone)]
    if rows:
        append(client, "web_pre_aggregated_teams", rows, ["team_id", "is_enabled", "selected_at"])
    try:
        Sql(_PACKAGE, client).command("reload_dictionary")
    except ClickHouseError as error:
        raise TeamSelectionError(
            f"the list was written, but web_pre_aggregated_teams_dict was not reloaded: {error}"
        ) from error
    for other in everywhere(client).values():
        # Whoever lags reads the list anew by itself, later.
        with suppress(ClickHouseError):
            if other is not client and not unusable(synced(other, {"web_pre_aggregated_teams"})):
                Sql(_PACKAGE, other).command("reload_dictionary")
    written = read_selection(client)
    if written.teams != after:
        raise TeamSelectionError(
            f"{len(after)} teams were written but {len(written.teams)} are read back: another selection ran at the "
            "same moment; materialize web_analytics_team_selection again"
        )
    if wrong := dictionary_mismatches(client):
        raise TeamSelectionError(
            f"after its reload web_pre_aggregated_teams_dict still disagrees about {len(wrong)} teams "
            f"(first: {wrong[:10]}): look at last_exception in system.dictionaries"
        )
    return written
