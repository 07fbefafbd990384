"""An engine reads an access log as the demo's parser does, whatever its lines hold."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dags.clickhouse.sql import Sql
from dags.demo.traffic import user_agent
from dags.demo.traffic.access_log import MAX_LINE_BYTES, Hit, Rubbish, RubbishKind, parse_line
from dags.demo.traffic.page_views import PageView, Skip, domain_of, judge
from dags.demo.traffic.sessions import events
from dags.file_ingestion.formats import NO_VIEWS, RUBBISH, Columns, format_of
from dags.file_ingestion.location import PACKAGE, Location
from dags.file_ingestion.reading import rows_of
from dags.sources.formats import ACCESS_LOG, OFFERED
from dags.sources.ingestions import Ingestion
from dags.tests.file_ingestion import log_lines
from dags.tests.file_ingestion.log_lines import FIREFOX, LINES
from dags.tests.file_ingestion.partner import Partner
from dags.tests.variants import embedded_at_night, server_at_night, server_in_stories

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from random import Random

    from clickhouse_connect.driver.client import Client

    from dags.clickhouse.dsn import Dsn

FORMAT = format_of(ACCESS_LOG)

# Each example is a statement of half a second, of as many lines as there are; smaller ones of a failure are not worth
# minutes.
asked_of_an_engine = settings(
    max_examples=5, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)
CAMPAIGN = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "gclid", "gad_source", "fbclid")


@dataclass
class Read:
    """What came of lines: why each is no page view, or what it is; and the sessions, as the lines that each has."""

    lines: list[Any]
    sessions: set[tuple[int, ...]]
    ids: list[str]


def by_engine(client: Client, directory: Path, content: bytes) -> Read:
    """What an engine makes of a file."""
    (directory / "a.log").write_bytes(content)
    declared = {
        "name": "a", "source_path": f"{directory}/", "source_file_pattern": "*", "format": ACCESS_LOG,
        "constants": {"team_id": "1"},
    }  # fmt: skip
    location = Location.of(Ingestion.model_validate(declared), {})
    sql, columns = Sql(PACKAGE, client), Columns(ACCESS_LOG, OFFERED)
    bound = {
        **location.parameters("*", FORMAT.engine, columns.structure({})), **FORMAT.parameters,
        "paths": [f"{directory}/a.log"],
    }  # fmt: skip
    rows = client.query(
        f"SELECT _fault, _row FROM ({rows_of(sql, columns, location)}) ORDER BY _row_number", parameters=bound
    ).result_rows
    lines, sessions, ids = list[Any](), dict[str, list[int]](), list[str]()
    for number, (fault, row) in enumerate(rows, 1):
        if fault:
            lines.append(FORMAT.faults[fault - 1].words)
            continue
        found = row if isinstance(row, dict) else dict(zip(OFFERED, row, strict=True))
        sessions.setdefault(found.pop("session"), []).append(number)
        ids.append(found.pop("id"))
        del found["visitor"]
        lines.append({name: re.sub("\N{REPLACEMENT CHARACTER}+", "?", value) for name, value in found.items()})
    return Read(lines, {tuple(one) for one in sessions.values()}, ids)


def by_oracle(content: bytes) -> Read:
    """What the demo's parser makes of it."""
    raws = content.split(b"\n")
    entries = [parse_line(raw + b"\n", number) for number, raw in enumerate(raws if raws[-1] else raws[:-1], 1)]
    lines, views = list[Any](), list[tuple[Hit, PageView]]()
    dress: dict[str, Counter[str]] = {}
    for entry in entries:
        judged = entry.kind if isinstance(entry, Rubbish) else judge(entry)
        if isinstance(entry, Hit) and not 1971 <= entry.at.year <= 2148:
            judged = RubbishKind.BAD_TIMESTAMP
        lines.append(str(judged))
        if isinstance(entry, Hit) and isinstance(judged, PageView):
            views.append((entry, judged))
        if isinstance(entry, Hit) and judged is Skip.DRESS and (domain := domain_of(entry.referrer)):
            dress.setdefault(entry.host.removeprefix("www."), Counter())[domain] += 1
    own = {site: min(found.items(), key=lambda item: (-item[1], item[0]))[0] for site, found in dress.items()}
    views.sort(key=lambda one: one[1].at)
    seen = []
    for hit, view in views:
        domain = own.get(hit.host.removeprefix("www."), "")
        is_own = view.referring_domain.removeprefix("www.") == domain.removeprefix("www.")
        seen.append(view._replace(referring_domain="") if is_own else view)
    sessions: dict[str, list[int]] = {}
    for (hit, _), event in zip(views, events(seen, 1), strict=True):
        found = {
            "at": f"{event.timestamp:%Y-%m-%d %H:%M:%S}Z", "address": hit.address, "path": event.pathname,
            "referrer": hit.referrer, "status": str(hit.status), "user_agent": hit.user_agent, "host": event.host,
            "referring_domain": event.referring_domain, **{name: getattr(event, name) for name in CAMPAIGN},
            "browser": event.browser, "os": event.os, "device_type": event.device_type,
        }  # fmt: skip
        lines[hit.line - 1] = {name: re.sub("\N{REPLACEMENT CHARACTER}+", "?", value) for name, value in found.items()}
        sessions.setdefault(event.session_id, []).append(hit.line)
    return Read(lines, {tuple(sorted(one)) for one in sessions.values()}, [])


def differences(client: Client, directory: Path, content: bytes) -> list[Any]:
    """Lines of which the two say different things, each with both."""
    engine, oracle = by_engine(client, directory, content), by_oracle(content)
    assert len(engine.lines) == len(oracle.lines)
    raws = content.split(b"\n")
    found: list[Any] = [
        (raw, one, other) for raw, one, other in zip(raws, engine.lines, oracle.lines, strict=False) if one != other
    ]
    return found or [engine.sessions ^ oracle.sessions] * (engine.sessions != oracle.sessions)


def test_the_statements_have_the_words_of_the_oracle() -> None:
    not_of_lines = {RubbishKind.BROKEN_STREAM}
    assert set(RUBBISH) == set(map(str, set(RubbishKind) - not_of_lines))
    assert set(NO_VIEWS) == set(map(str, Skip))


@embedded_at_night  # of each part alone it is asked by day, too
@asked_of_an_engine
@given(st.lists(LINES, min_size=40, max_size=80))
def test_an_engine_reads_a_log_as_the_oracle_does(client: Client, server_files: Path, lines: Sequence[bytes]) -> None:
    assert differences(client, server_files, b"\n".join(lines) + b"\n") == []


def test_every_part_of_a_line_is_read_as_the_oracle_does(client: Client, server_files: Path) -> None:
    programs = (f"x {word} y" for word in user_agent._BOT_WORDS)
    marks = (one[0] for one in (*user_agent._BROWSERS, *user_agent._SYSTEMS))
    parts = {
        "before": log_lines.BEFORE, "stamp": log_lines.STAMPS, "target": log_lines.TARGETS,
        "status": log_lines.STATUSES, "referrer": log_lines.REFERRERS, "after": log_lines.AFTERS,
        "agent": (*log_lines.AGENTS, *programs, *(f"a {mark}1 b" for mark in marks)),
    }  # fmt: skip
    form = '{before} [{stamp}] "GET {target} HTTP/1.1" {status} 5 "{referrer}" "{agent}"{after}'
    plain = {
        "before": "10.0.0.1 - -", "stamp": "05/Jan/2026:12:00:00 +0000", "target": "/", "status": "200",
        "referrer": "-", "agent": "-", "after": "",
    }  # fmt: skip
    found = [form.format(**plain | {part: value}) for part, values in parts.items() for value in values]
    found += [form.format(**plain).replace("GET / HTTP/1.1", request) for request in log_lines.REQUESTS]
    content = "\n".join([*found, *log_lines.STRANGE, ""]).encode()
    assert differences(client, server_files, content) == []


@embedded_at_night
@asked_of_an_engine
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 1799, 1800, 1801]), st.sampled_from(["10.0.0.1", "10.0.0.2"]),
            st.sampled_from(["/", "/about", "/app.js"]), st.sampled_from(["-", "http://a.example/", "http://b.example/"]),
        ),
        min_size=60,
        max_size=90,
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_sessions_are_those_of_the_oracle_in_whatever_order_lines_come(
    client: Client, server_files: Path, visits: Sequence[tuple[int, str, str, str]], random: Random
) -> None:
    at, found = datetime(2026, 1, 5, tzinfo=UTC), []
    for pause, address, path, referrer in visits:
        at += timedelta(seconds=pause)
        stamp = f"{at:%d/%b/%Y:%H:%M:%S} +0000"
        found.append(f'{address} - - [{stamp}] "GET {path} HTTP/1.1" 200 5 "{referrer}" "{FIREFOX}"')
    random.shuffle(found)
    assert differences(client, server_files, "\n".join([*found, ""]).encode()) == []


def test_times_that_no_event_may_have_are_no_lines_of_hits(client: Client, server_files: Path) -> None:
    first, last = "01/Jan/1971:00:00:00", "31/Dec/2148:23:59:59"
    stamps = (f"{first} +0001", f"{first} +0000", f"{last} +0000", f"{last} -0001")
    content = "".join(f'1.2.3.4 - - [{stamp}] "GET / HTTP/1.1" 200 5\n' for stamp in stamps)
    read = by_engine(client, server_files, content.encode())
    wrong = "timestamp that does not exist"
    assert [one if isinstance(one, str) else one["at"] for one in read.lines] == [
        wrong, "1971-01-01 00:00:00Z", "2148-12-31 23:59:59Z", wrong,
    ]  # fmt: skip


def test_a_line_has_the_same_id_whatever_follows_it_and_equal_lines_have_their_own(
    client: Client, server_files: Path
) -> None:
    view = b'1.2.3.4 - - [05/Jan/2026:12:00:00 +0000] "GET /%d HTTP/1.1" 200 5\n'
    once = by_engine(client, server_files, view % 1 + view % 2 + view % 1).ids
    more = by_engine(client, server_files, view % 1 + view % 2 + view % 1 + view % 1 + b"rubbish\n" + view % 3).ids
    assert more[:3] == once
    assert len(set(more)) == 5


def test_a_session_is_cut_before_it_lasts_a_day_each_time(client: Client, server_files: Path) -> None:
    # From the second cut on the oracle counts from the page view that it cut before, not from the session's beginning.
    moments = [datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=29 * number) for number in range(200)]
    content = "".join(f'1.2.3.4 - - [{one:%d/%b/%Y:%H:%M:%S} +0000] "GET / HTTP/1.1" 200 5\n' for one in moments)
    sessions = sorted(by_engine(client, server_files, content.encode()).sessions)
    assert sum(sessions, ()) == tuple(range(1, 201))
    assert [len(one) for one in sessions] == [50, 50, 49, 50, 1]


def test_a_line_may_have_256_kib_and_none_of_it_costs_the_others(client: Client, server_files: Path) -> None:
    head, tail = b'1.2.3.4 - - [05/Jan/2026:12:00:00 +0000] "GET /', b' HTTP/1.1" 200 5'
    greatest = head + b"a" * (MAX_LINE_BYTES - len(head + tail) - 1) + tail
    backtracking = head + b" [x] " * 50_000 + b'"' * 5_000
    content = b"\n".join([greatest, greatest + b"a", b"A" * 3_000_000, b" " * 250_000, backtracking, head + tail])
    assert differences(client, server_files, content + b"\n") == []


VISITOR = "www.own.example:443 203.0.113.5 - -"
LOG = f"""\
{VISITOR} [05/Jan/2026:13:00:00 +0100] "GET /?utm_source=news HTTP/1.1" 200 5 "https://www.google.com/" "{FIREFOX}"
{VISITOR} [05/Jan/2026:13:00:01 +0100] "GET /app.js HTTP/1.1" 200 5 "https://own.example/" "{FIREFOX}"
{VISITOR} [05/Jan/2026:13:01:00 +0100] "GET /about HTTP/1.1" 200 5 "https://own.example/" "{FIREFOX}"
{VISITOR} [05/Jan/2026:14:00:00 +0100] "GET / HTTP/1.1" 304 0 "-" "{FIREFOX}"
\x1b[2Jrubbish
"""


@server_in_stories
@pytest.mark.parametrize(("kind", "dsn_text"), [("directory", "embedded"), ("bucket", "server")], indirect=["dsn_text"])
@server_at_night
def test_logs_are_loaded_as_page_views_and_what_is_none_is_counted(
    request: pytest.FixtureRequest, kind: str, client: Client, dsn: Dsn, tmp_path: Path
) -> None:
    bucket = request.getfixturevalue("bucket") if kind == "bucket" else None
    partner = Partner(dsn, client, tmp_path if bucket else request.getfixturevalue("server_files"), bucket)
    partner.declared |= {
        "format": ACCESS_LOG, "source_file_pattern": "**/access.log*", "columns": {}, "constants": {"team_id": "7"},
    }  # fmt: skip
    partner.put("web 1/access.log.1.gz", gzip.compress(LOG.encode()))
    partner.put("access.log", b'1.2.3.4 - - [05/Jan/2026:12:00:00 +0000] "POST / HTTP/1.1" 200 5\n')
    partner.put("access.log.rubbish", LOG.encode() + b"<b>\xff\n" * 5 + b"so it goes\n")
    partner.put("access.log.cut.gz", gzip.compress(LOG.encode() * 500)[:-20])
    state = partner.ingest()
    assert state is not None
    assert state.status == "completed"
    assert partner.ingest() is None
    assert partner.states() == {
        "web 1/access.log.1.gz": "success", "access.log": "success", "access.log.rubbish": "failed",
        "access.log.cut.gz": "failed",
    }  # fmt: skip
    said = partner.errors()
    assert "access.log.cut.gz" in said.pop("access.log.cut.gz")
    assert said == {
        "web 1/access.log.1.gz": "3 of 5 lines are page views; left out: 1 unprintable characters, "
        "1 script, style or font",
        "access.log": "0 of 1 lines are page views; left out: 1 method is not GET",
        "access.log.rubbish": "7 of 11 lines are rubbish; 5 rows: bytes that are not UTF-8 (key "
        + ", ".join(f"access.log.rubbish row {row}: <b>\\xff" for row in sorted(map(str, range(6, 11))))
        + "); 1 row: unprintable characters (key access.log.rubbish row 5: \\x1b[2Jrubbish); "
        "1 row: not Common or Combined Log Format (key access.log.rubbish row 11: so it goes)",
    }
    rows = client.query(
        "SELECT team_id, event, toString(timestamp), pathname, referring_domain, utm_source, browser, session_id "
        "FROM events WHERE host = 'www.own.example' AND distinct_id = toString(person_id) ORDER BY timestamp"
    ).result_rows
    assert [tuple(row[:-1]) for row in rows] == [
        (7, "$pageview", "2026-01-05 12:00:00.000000", "/", "www.google.com", "news", "Firefox"),
        (7, "$pageview", "2026-01-05 12:01:00.000000", "/about", "www.google.com", "", "Firefox"),
        (7, "$pageview", "2026-01-05 13:00:00.000000", "/", "$direct", "", "Firefox"),
    ]
    first, second, third = (row[-1] for row in rows)
    assert (first == second, second == third) == (True, False)
