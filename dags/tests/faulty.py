"""Source data that the engine itself cannot read: a team whose builds fail, for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def break_team(client: Client, team: int, how: str = "throwIf(team_id = {team}, 'bad data')") -> None:
    """From now on whatever reads this team's events fails, in the engine: its rows are in a part of their own."""
    client.command("ALTER TABLE events MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1")
    client.command("ALTER TABLE events DROP COLUMN fbclid SETTINGS mutations_sync = 2")
    broken = how.replace("{team}", str(team))
    client.command(f"ALTER TABLE events ADD COLUMN fbclid String DEFAULT if({broken} = 0, '', '') AFTER gad_source")


def mended(client: Client) -> None:
    """The table as the schema has it, for the tests that come after."""
    client.command("ALTER TABLE events MODIFY COLUMN fbclid REMOVE DEFAULT")
    client.command("ALTER TABLE events RESET SETTING max_bytes_to_merge_at_max_space_in_pool")
