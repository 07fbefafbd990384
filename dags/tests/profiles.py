"""Every setting of an engine, each set unlike its default as a user's profile would have it, on a small world.

On a server each variant is a user with a profile of its own; on the embedded engine it is ``SET`` in the session,
before anything of ours is set.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING
from unittest import mock
from xml.sax.saxutils import escape

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse import engine
from dags.clickhouse.engine import open_client
from dags.clickhouse.schema.apply import apply_schema
from dags.clickhouse.sql import is_embedded
from dags.detection.store import detect
from dags.domain.errors import UserError
from dags.team_selection.store import write_selection
from dags.tests.builds import TABLES, build
from dags.tests.events import Event, at, insert
from dags.web_preaggregated.tables import WEB_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

DAY, BUILT = date(2026, 1, 10), date(2026, 1, 11)
NOW = at("2026-01-14 06:00:00")
TEAMS = range(1, 10)

# A limit alone refuses; together with its mode it cuts.
_LIMIT_OF_MODE = {
    "distinct_overflow_mode": "max_rows_in_distinct",
    "group_by_overflow_mode": "max_rows_to_group_by",
    "join_overflow_mode": "max_rows_in_join",
    "read_overflow_mode": "max_rows_to_read",
    "read_overflow_mode_leaf": "max_rows_to_read_leaf",
    "result_overflow_mode": "max_result_rows",
    "set_overflow_mode": "max_rows_in_set",
    "sort_overflow_mode": "max_rows_to_sort",
    "timeout_overflow_mode": "max_execution_time",
    "timeout_overflow_mode_leaf": "max_execution_time_leaf",
    "transfer_overflow_mode": "max_rows_to_transfer",
}
_TOGETHER = {"async_insert": {"wait_for_async_insert": "0"}, "wait_for_async_insert": {"async_insert": "1"}}

# How many rows are let through: nothing, what a question at connection needs, a part of the answers here.
_FEW = ("1", "2", "8", "2000")

# Texts that mean something where they stand; any other text setting gets a word.
_TEXTS = {
    "additional_result_filter": ("0",),
    "additional_table_filters": ("{'events': 'team_id < 3', 'web_pre_aggregated_stats': 'team_id < 3'}",),
    "compatibility": ("21.3", "23.3", "24.8"),
    "count_distinct_implementation": ("uniqHLL12",),
    "parallel_replicas_custom_key": ("team_id",),
    "session_timezone": ("America/Los_Angeles", "Pacific/Auckland"),
}

# They stop the server or the process rather than an answer, or hold it up for as long as they say.
_LEFT_OUT = re.compile(
    r"ast_fuzzer\w*|\w*_fault_injection\w*|memory_tracker_fault_probability|unknown_packet_in_send_data"
)


# With these the embedded engine answers nothing for ever, whatever is asked: it looks for progress, or reads a byte a
# second.
_NEVER_ANSWERS = re.compile(r"interactive_delay=0|max_\w+_bandwidth\w*=[12]")


@dataclass(frozen=True)
class Variant:
    """A profile: some settings unlike their defaults. ``constraint``: what it says of changing them, or of all."""

    settings: tuple[tuple[str, str], ...]
    constraint: str = ""

    def __str__(self) -> str:
        return ", ".join(f"{name} = {value!r}" for name, value in self.settings) + (
            self.constraint and f" ({self.constraint})"
        )


def variants(client: Client) -> list[Variant]:
    """Each setting with each value worth a try, as the engine itself knows and takes them."""
    rows = client.query(
        "SELECT name, type, value FROM system.settings WHERE NOT is_obsolete AND alias_for = '' ORDER BY name"
    ).result_rows
    return [
        Variant(tuple(settings.items()))
        for name, kind, now in rows
        if not _LEFT_OUT.fullmatch(name)
        for value in _values(client, name, kind, now)
        if value != now and not (is_embedded(client) and _NEVER_ANSWERS.fullmatch(f"{name}={value}"))
        if _is_taken(client, name, value)
        for settings in _profiles(name, value)
    ]


def _profiles(name: str, value: str) -> Iterable[dict[str, str]]:
    if name not in _LIMIT_OF_MODE:
        return ({name: value, **_TOGETHER.get(name, {})},)
    few = ("0.000001", "0.01") if name.startswith("timeout") else _FEW
    return ({name: value, _LIMIT_OF_MODE[name]: limit, "max_block_size": "1"} for limit in few)


def _values(client: Client, name: str, kind: str, now: str) -> Iterable[str]:
    if name in ("limit", "offset"):
        return _FEW
    if kind == "Bool":
        return ("0" if now == "1" else "1",)
    if name in _TEXTS or kind == "String":
        return _TEXTS.get(name, ("x",))
    if re.search("Int|Float|Double|Seconds|Milliseconds|Auto|MaxThreads", kind):
        return ("0", "1", "2") if now in ("0", "1") else ("0", "1")
    # What the words of an enumeration are, its own refusal says.
    found = None
    try:
        client.command(f"SET {name} = 'no such word'")
    except ClickHouseError as error:
        found = re.search(r"one of \[(.*?)\]", str(error))
    return re.findall(r"'([^']*)'", found[1]) if found else ()


def _is_taken(client: Client, name: str, value: str) -> bool:
    quoted = value.replace("'", "\\'")
    try:
        client.command(f"SELECT 1 SETTINGS {name} = '{quoted}'")
    except ClickHouseError as error:
        return getattr(error, "name", "") not in (
            "BAD_ARGUMENTS", "CANNOT_PARSE_BOOL", "CANNOT_PARSE_INPUT_ASSERTION_FAILED", "CANNOT_PARSE_NUMBER",
            "CANNOT_PARSE_TEXT", "TYPE_MISMATCH", "UNKNOWN_SETTING",
        )  # fmt: skip
    return True


def users_xml(profiles: Sequence[Variant]) -> str:
    """A users' configuration: ``default``, and of each variant a user ``u<number>`` with its profile."""
    text = []
    for number, variant in enumerate(profiles):
        values = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in variant.settings)
        fixed = ""
        if variant.constraint == "const":
            fixed = "".join(f"<{name}><const/></{name}>" for name, _ in variant.settings)
            fixed = f"<constraints>{fixed}</constraints>"
        text.append(f"<p{number}>{values}{fixed}</p{number}>")
    user = "<password/><networks><ip>::/0</ip></networks><quota>default</quota>"
    users = "".join(f"<u{n}>{user}<profile>p{n}</profile></u{n}>" for n in range(len(profiles)))
    return (
        f"<clickhouse><profiles><default/>{''.join(text)}</profiles><quotas><default/></quotas>"
        f"<users><default>{user}<profile>default</profile></default>{users}</users></clickhouse>"
    )


@contextmanager
def opened(dsn: Dsn, number: int, variant: Variant) -> Iterator[Client]:
    """A client as the project opens it, for somebody with this profile."""
    if not dsn.is_embedded:
        with open_client(replace(dsn, user=f"u{number}"), wait_seconds=5, answer_seconds=60) as client:
            yield client
        return
    plain = engine._embedded

    def with_profile(dsn: Dsn) -> Client:
        client = plain(dsn)
        for name, value in variant.settings:
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            client.command(f"SET {name} = '{quoted}'")
        return client

    with mock.patch.object(engine, "_embedded", with_profile), open_client(dsn, wait_seconds=5) as client:
        yield client


def make_world(client: Client) -> None:
    """Nine teams without a build on one day; on the next five were built, and one of them has lost rows since."""
    apply_schema(client, WEB_TABLES)
    write_selection(client, TEAMS)
    for team in TEAMS:
        events = [
            Event(team, at(f"{day} {hour:02}:00:00"), f"{day}-{hour}") for day in (DAY, BUILT) for hour in (0, 9, 23)
        ]
        insert(client, [*events, *events[:1]])
    build(client, *TEAMS[:5], day=BUILT)
    client.command(f"DELETE FROM {TABLES[0]} WHERE team_id = 5")


@dataclass(frozen=True)
class Answer:
    """What a detection says that may not depend on a profile."""

    wrong: frozenset[tuple[str, int, date, str, str]]
    complete: tuple[tuple[str, int], ...]


def answer(client: Client) -> Answer | str:
    """What detection finds; or the words in which it says that it does not know."""
    found = detect(
        client, NOW, WEB_TABLES, lookback_days=30, settle=timedelta(hours=1), reads_all_days=True, records=False
    )
    if found.unknown:
        return "; ".join(found.unknown.values())
    return Answer(
        frozenset((v.unit.table, v.unit.team_id, v.unit.day, str(v.kind), str(v.cause)) for v in found.wrong),
        tuple(sorted(found.complete_by_table.items())),
    )


def answer_under(dsn: Dsn, number: int, variant: Variant) -> Answer | str:
    """The same for somebody with a profile; a refusal that names a cause is words too, any other error is raised."""
    try:
        with opened(dsn, number, variant) as client:
            return answer(client)
    except (UserError, ClickHouseError) as error:
        return f"{type(error).__name__}: {error}"
