"""Where enabled teams come from. A source that cannot be read is an error that names it, never a shorter list."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError
from dags.domain.setting_values import TeamSource

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    from clickhouse_connect.driver.client import Client

    from dags.settings import Settings

    # A client of each shard, or of the one server, and what today is there.
    Places = Sequence[tuple[Client, date]]
    Reader = Callable[[Places, Settings], tuple[int, ...]]

_PACKAGE = "dags.team_selection"


class TeamSourceError(UserError):
    """A configured source could not be read, so the list of teams is unknown."""


def _environment(_places: Places, settings: Settings) -> tuple[int, ...]:
    return settings.enabled_team_ids


def _table(places: Places, _settings: Settings) -> tuple[int, ...]:
    """Of a team the newest row counts, on whichever shard somebody wrote it: a team may have been moved since."""
    newest: dict[int, tuple[datetime, bool]] = {}
    for client, _ in places:
        for team, is_enabled, changed_at in Sql(_PACKAGE, client).rows("source_table"):
            newest[team] = max(newest.get(team, (changed_at, False)), (changed_at, bool(is_enabled)))
    return tuple(sorted(team for team, (_, is_enabled) in newest.items() if is_enabled))


def _top_pageviews(places: Places, settings: Settings) -> tuple[int, ...]:
    """The limit counts on each shard: nobody ranks teams over shards."""
    found: dict[int, None] = {}
    for client, today in places:
        bound = {
            "start": today - timedelta(days=settings.top_teams_days),
            "end": today,
            "limit": settings.top_teams_limit,
        }
        found |= dict.fromkeys(team for (team,) in Sql(_PACKAGE, client).rows("source_top_pageviews", bound))
    return tuple(found)


# A new source is a function here and its name in `TeamSource`.
SOURCES: Mapping[TeamSource, Reader] = {
    TeamSource.ENVIRONMENT: _environment,
    TeamSource.TABLE: _table,
    TeamSource.TOP_PAGEVIEWS: _top_pageviews,
}


def get_team_ids_from_sources(client: Client, settings: Settings, today: date) -> list[int]:
    """The enabled teams: everyone whom at least one configured source names, in order.

    Raises:
        TeamSourceError: as `team_ids_by_source`.
    """
    return sorted({team for teams in team_ids_by_source([(client, today)], settings).values() for team in teams})


def team_ids_by_source(places: Places, settings: Settings) -> dict[str, tuple[int, ...]]:
    """The teams that each configured source names, kept apart so that the asset can say where a team comes from.

    Raises:
        TeamSourceError: a source could not be read, or named a team 0, which no team can be.
    """
    teams_by_source: dict[str, tuple[int, ...]] = {}
    for name in settings.team_sources:
        try:
            teams = SOURCES[name](places, settings)
        except ClickHouseError as error:
            raise TeamSourceError(
                f"the team source '{name}' could not be read, so which teams are enabled is unknown and the last "
                f"list stays: {str(error)[:500]}. Put it right, or leave '{name}' out of WEB_ANALYTICS_TEAM_SOURCES"
            ) from error
        if 0 in teams:
            raise TeamSourceError(f"the team source '{name}' names the team 0: team ids are whole numbers above 0")
        teams_by_source[name] = teams
    return teams_by_source
