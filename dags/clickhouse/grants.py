"""Says what the user of a connection lacks, with the statement that gives it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.sql import Sql, is_embedded
from dags.domain.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

_PACKAGE = "dags.clickhouse"

# As ClickHouse says it, which differs between versions by little more than the quotes.
_LACKS = re.compile(r"necessary to have (?:the )?grant (?P<grant>.+?)(?:\.? \(ACCESS_DENIED\)|\.?$|;)", re.MULTILINE)


def missing_grant(error: Exception) -> str:
    """What an error of ClickHouse says that the user lacks, a grant and what it is on; empty if it says nothing so."""
    found = _LACKS.search(str(error)) if getattr(error, "name", None) == "ACCESS_DENIED" else None
    return re.sub(r"\([^)]*\)", "", found["grant"]) if found is not None else ""


@contextmanager
def naming_what_lacks() -> Iterator[None]:
    """Raises: UserError: what is done here needs a right that the user lacks; the words are what gives it."""
    try:
        yield
    except ClickHouseError as error:
        if lacks := missing_grant(error):
            raise UserError(
                f"the user of CLICKHOUSE_DSN lacks a right. `GRANT {lacks} TO` it; README, Server, has all of them"
            ) from error
        raise


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
        (may,) = Sql(_PACKAGE, client).row("check_insert", database=str(client.database))
    except ClickHouseError:
        return ""
    if may:
        return ""
    return (
        "the user may not INSERT, so what it reads anew, the next who asks reads again: "
        f"GRANT INSERT ON {client.database}.* TO it"
    )
