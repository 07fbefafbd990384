"""Which files lie there, held against what the ledger has as settled."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.sql import Sql
from dags.domain.errors import UserError
from dags.file_ingestion.location import PACKAGE, plain_prefix
from dags.file_ingestion.store import read_standing
from dags.file_ingestion.versions import FileVersion, Found, Schema

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from dags.file_ingestion.location import Location
    from dags.file_ingestion.patterns import Pattern

# Rows of a directory's listing that are of no file.
_LINKS, _NO_TEXTS = "/", "//"


@dataclass(frozen=True)
class There:
    """What lies there: the files, how many symbolic links, which are passed over, for nothing tells the versions of
    their files; and how many names that are no UTF-8. ``objects``: how many were looked through in a storage of them, 0
    where that is not told.
    """

    files: tuple[FileVersion, ...]
    objects: int = 0
    links: int = 0
    no_texts: int = 0


@dataclass(frozen=True)
class Listing:
    """What lies there: the versions that the ledger does not have as settled, how many it has; all else as `There` has
    it.
    """

    found: tuple[Found, ...]
    settled: int = 0
    objects: int = 0
    links: int = 0
    no_texts: int = 0

    @property
    def files(self) -> int:
        return len(self.found) + self.settled


@dataclass(frozen=True)
class Ledger:
    """Whose ledger a listing is held against: that of an ingestion, as it was ``at`` an instant before the listing.
    Settled is what `dags.file_ingestion.versions.is_settled` says under this schema, but for the paths of ``keep``.
    """

    ingestion: str
    at: datetime
    schema: Schema = field(default_factory=Schema)
    keep: Collection[str] = ()


def what_is_there(
    client: Client, location: Location, pattern: Pattern, *, seconds: int, below: str | None = None
) -> There:
    """The files that a pattern has; ``below``: only those under a prefix, which none matches that is not its.

    Raises:
        UserError: they cannot be listed; it is not known which there are.
    """
    prefix = plain_prefix(pattern.prefix if below is None else below)
    bound = {"skip": location.skip, "pattern": pattern.regex, "seconds": seconds}
    sql = Sql(PACKAGE, client)
    try:
        if location.is_directory:
            rows = sql.rows("list_directory", {**bound, "directory": f"{location.root}{prefix}"})
        else:
            listed = location.parameters(f"{prefix}**/*", "One", "auto")
            rows = sql.rows("list_objects", {**bound, **listed}, source=location.function)
    except (ClickHouseError, UserError) as error:
        raise UserError(
            f"the files of {location.whom} cannot be listed, so nothing is known of them: "
            f"{location.hidden_in(str(error))[:1000]}"
        ) from None
    told = {path: count for path, *_, count in rows if path in (_LINKS, _NO_TEXTS)}
    files = {version[0]: FileVersion(*version) for *version, _ in rows if version[0] not in told}
    objects = 0 if location.is_directory else sql.cost.rows_read or 0
    return There(tuple(files.values()), objects, told.get(_LINKS, 0), told.get(_NO_TEXTS, 0))


def list_files(
    client: Client, location: Location, pattern: Pattern, ledger: Ledger, *, seconds: int, below: str | None = None
) -> Listing:
    """As `what_is_there`, held against a ledger: what is settled as it lies there is no more than counted.

    Nor is that to which something has happened since: another run has it in hand, and what was listed may be what lay
    there before.
    """
    there = what_is_there(client, location, pattern, seconds=seconds, below=below)
    keep, found = frozenset(ledger.keep), list[Found]()
    for version, before in read_standing(client, ledger.ingestion, ledger.schema, there.files):
        is_in_hand = before is not None and before.at > ledger.at
        is_settled = before is not None and before.is_settled and version.is_as(before.version)
        if version.path in keep or not (is_in_hand or is_settled):
            found.append(Found(version, is_known=before is not None))
    settled = len(there.files) - len(found)
    return Listing(tuple(found), settled, there.objects, there.links, there.no_texts)
