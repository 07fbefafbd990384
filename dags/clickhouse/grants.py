"""Says why what was found is kept for nobody: the user may not write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.rights import quoted
from dags.clickhouse.sql import Sql, is_embedded

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.clickhouse"


def why_nothing_is_kept(client: Client) -> str:
    """Why this user cannot write what was found for the next who asks, in words; empty if it can, or nobody says.

    Who only asks needs no more than to read, and recalls what others have kept.
    """
    if is_embedded(client):
        return ""
    readonly = client.server_settings.get("readonly")
    if readonly is not None and readonly.value != "0":
        return f"the user's profile is readonly ({readonly.value}): what it reads anew, the next who asks reads again"
    try:
        sql = Sql(_PACKAGE, client)
        (may,) = sql.row("check_insert", database=str(client.database))
        if may:
            return ""
        (user,) = sql.row("user")
    except ClickHouseError:
        return ""
    return (
        "the user may not INSERT, so what it reads anew, the next who asks reads again: "
        f"`GRANT INSERT ON {client.database}.* TO {quoted(user)}` lets it"
    )
