"""Ingestions in the declaration of sources: what is accepted, and that what is refused is named and never shown."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
import yaml
from dagster import ScheduleDefinition
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dags.domain.errors import UserError
from dags.sources.declaration import declared
from dags.sources.formats import ACCESS_LOG, FORMATS, NAMELESS, OFFERED
from dags.sources.ingestions import SCHEDULES, Ingestion
from dags.tests.sources.test_declaration import SECRET, TARGETS, refusal

EXAMPLE = """
ingestions:
  - name: partner-logs
    status: ACTIVE                       # DRAFT runs only by hand, PAUSED not at all
    source_path: s3://bucket/data/       # s3://, gs://, http(s)://host/bucket/…/, or an absolute directory
    named_collection: partner_bucket     # of ClickHouse; or access_key_env + secret_key_env (variables), or none
    source_file_pattern: "year=*/month=*/day=*/**/*.jsonl.gz"
    format: JSONEachRow
    into: events
    columns: {team_id: tenant, uuid: id, timestamp: at}   # target column -> the file's column
    constants: {event: $pageview}
    time_zone: UTC
    from: 2026-01-01
    until: 2026-06-30
    dated_by: path
    schedule: hourly
    schedule_time_zone: UTC
    max_files_per_run: 500
    max_bytes_per_run: 50GB
    cost_usd_per_gb: 0.25
"""
# As people paste them; each part holds the word that may be shown nowhere.
SIGNED = f"https://host/bucket/{SECRET}/?X-Amz-Signature={SECRET}"
WITH_PASSWORD = f"https://{SECRET}:{SECRET}@host/bucket/"
FIELDS = [field.alias or name for name, field in Ingestion.model_fields.items()]


def an_ingestion(**fields: object) -> dict[str, Any]:
    given = {
        "name": "a", "source_path": "s3://bucket/data/", "source_file_pattern": "*.csv", "format": "CSVWithNames",
        "columns": dict(TARGETS),
    } | fields  # fmt: skip
    return {name.rstrip("_"): value for name, value in given.items()}


def a_document(*ingestions: object) -> str:
    # JSON is YAML, and what is there twice is written twice: of an anchor nothing else would be said.
    return json.dumps({"ingestions": ingestions})


def accepted(ingestion: dict[str, Any]) -> Ingestion:
    [found] = declared(a_document(ingestion)).ingestions
    return found


def test_the_example_is_accepted_as_it_stands() -> None:
    sources = declared(EXAMPLE)
    found = sources.ingestion("partner-logs")
    assert sources.ingestions == (found,)
    assert found.model_dump(by_alias=True) == {
        "name": "partner-logs", "status": "ACTIVE", "source_path": "s3://bucket/data/",
        "named_collection": "partner_bucket", "access_key_env": None, "secret_key_env": None,
        "source_file_pattern": "year=*/month=*/day=*/**/*.jsonl.gz", "format": "JSONEachRow", "into": "events",
        "columns": {"team_id": "tenant", "uuid": "id", "timestamp": "at"}, "constants": {"event": "$pageview"},
        "time_zone": "UTC", "from": date(2026, 1, 1), "until": date(2026, 6, 30), "dated_by": "path",
        "schedule": "hourly", "schedule_time_zone": "UTC", "schema_changes": "manual", "max_files_per_run": 500,
        "max_bytes_per_run": 50_000_000_000, "cost_usd_per_gb": 0.25,
    }  # fmt: skip
    assert (found.is_directory, found.cron, found.since) == (False, "0 * * * *", date(2026, 1, 1))
    assert Ingestion.model_validate(found.model_dump(by_alias=True, mode="json")) == found


def test_what_need_not_be_said_is_as_the_example_has_it_but_for_its_range_its_schedule_and_its_access() -> None:
    given = yaml.safe_load(EXAMPLE)["ingestions"][0]
    needed = ("name", "source_path", "source_file_pattern", "format", "columns", "constants")
    found = accepted({name: given[name] for name in needed})
    unsaid = {"named_collection": None, "since": None, "until": None, "schedule": None}
    assert found == declared(EXAMPLE).ingestions[0].model_copy(update=unsaid)
    assert found.cron is None


def test_names_that_are_not_declared_are_answered_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"^ingestion is 'x': WEB_ANALYTICS_SOURCES declares partner-logs$"):
        declared(EXAMPLE).ingestion("x")
    with pytest.raises(UserError, match=r"^ingestion is 'x', and none are declared: let WEB_ANALYTICS_SOURCES name a"):
        declared("pipelines: []").ingestion("x")


def test_what_was_declared_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        declared(EXAMPLE).ingestions[0].status = "PAUSED"


def test_a_database_and_files_may_bear_the_same_name() -> None:
    pipeline = {"name": "a", "dsn_env": "A", "tables": [{"table": "t", "key": "id", "columns": TARGETS}]}
    sources = declared(yaml.safe_dump({"pipelines": [pipeline], "ingestions": [an_ingestion()]}))
    assert sources.pipeline("a").name == sources.ingestion("a").name


# --- What is accepted -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_accepted(kind: str) -> None:
    columns = {name: f"c{place}" for place, name in enumerate(TARGETS, 1)} if kind in NAMELESS else TARGETS
    columns = {"uuid": "id", "timestamp": "at"} if kind == ACCESS_LOG else columns
    constants = {"team_id": "7"} if kind == ACCESS_LOG else {}
    assert accepted(an_ingestion(format=kind, columns=columns, constants=constants)).format == kind


def test_an_access_log_needs_a_team_and_fills_every_column_that_it_can() -> None:
    needed = an_ingestion(format=ACCESS_LOG, constants={"team_id": "7", "host": "a.example"})
    found = accepted({name: value for name, value in needed.items() if name != "columns"})
    assert found.constants == {"event": "$pageview", "team_id": "7", "host": "a.example"}
    assert (found.columns["uuid"], found.columns["person_id"], found.columns["utm_term"]) == (
        "id",
        "visitor",
        "utm_term",
    )
    assert len(found.columns) == 18
    assert "host" not in found.columns
    own = accepted(
        an_ingestion(format=ACCESS_LOG, columns={"uuid": "id", "timestamp": "at"}, constants={"team_id": "7"})
    )
    assert (own.columns, own.constants["event"]) == ({"uuid": "id", "timestamp": "at"}, "$pageview")


@pytest.mark.parametrize(
    ("path", "is_directory"),
    [
        ("s3://bucket/", False),
        ("gs://a.b_c-1/late data/2026/", False),
        ("http://minio:9000/bucket/", False),
        ("https://[::1]:9000/bucket/a=1/", False),
        ("https://s3.eu-central-1.amazonaws.com/bucket/a%20b/", False),
        ("s3://bucket/who@where/a..b/.hidden/", False),
        ("/srv/late/", True),
        ("/srv/späte Daten #1/", True),
    ],
)
def test_files_are_in_a_bucket_or_in_a_directory(path: str, is_directory: bool) -> None:  # noqa: FBT001 -- of a table
    found = accepted(an_ingestion(source_path=path))
    assert (found.source_path, found.is_directory) == (path, is_directory)


@pytest.mark.parametrize(
    "access",
    [{}, {"named_collection": "late"}, {"access_key_env": "LATE_KEY", "secret_key_env": "LATE_SECRET"}],
    ids=lambda given: ",".join(given) or "open",
)
def test_a_bucket_is_open_or_reached_by_a_collection_or_by_two_variables(access: dict[str, str]) -> None:
    found = accepted(an_ingestion(**access))
    assert (
        found.model_dump(include={"named_collection", "access_key_env", "secret_key_env"}, exclude_none=True) == access
    )


@pytest.mark.parametrize("schedule", [*SCHEDULES, "15 */6 * * 1-5"])
def test_a_schedule_is_a_word_or_five_fields_that_dagster_takes(schedule: str) -> None:
    cron = accepted(an_ingestion(schedule=schedule)).cron
    assert cron == {"hourly": "0 * * * *", "daily": "0 1 * * *", "weekly": "0 1 * * 1"}.get(schedule, schedule)
    assert ScheduleDefinition(job_name="any", cron_schedule=cron).cron_schedule == cron


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("2KB", 2_000), ("3MB", 3 * 10**6), ("50GB", 50 * 10**9), ("1TB", 10**12), (str(2**63 - 1), 2**63 - 1)],
)
def test_bytes_are_a_whole_number_or_have_a_decimal_unit(text: str, size: int) -> None:
    assert accepted(an_ingestion(max_bytes_per_run=text)).max_bytes_per_run == size


@pytest.mark.parametrize(
    "fields",
    [
        {"from": "2026-01-02"}, {"until": "2026-01-02"}, {"from": "2026-01-02", "until": "2026-01-02"},
        {"from": "2026-01-02", "dated_by": "time"}, {"until": "2026-01-02", "dated_by": "path"},
    ],
    ids=str,
)  # fmt: skip
def test_a_range_of_days_may_be_open_on_either_side_and_be_a_single_day(fields: dict[str, str]) -> None:
    shown = accepted(an_ingestion(**fields)).model_dump(mode="json", by_alias=True)
    assert {name: shown[name] for name in fields} == fields


@pytest.mark.parametrize("field", [("max_files_per_run", 1), ("max_files_per_run", 100_000), ("cost_usd_per_gb", 0.0)])
def test_limits_are_within_what_is_accepted(field: tuple[str, float]) -> None:
    name, value = field
    assert getattr(accepted(an_ingestion(**{name: value})), name) == value


def test_constants_may_give_what_no_file_has_and_columns_may_bear_any_name() -> None:
    columns = {"uuid": "c1", "timestamp": "@time stamp", "pathname": "properties.$pathname", "host": "ä" * 127}
    found = accepted(an_ingestion(columns=columns, constants={"team_id": "7", "event": ""}))
    assert (found.columns, found.constants) == (columns, {"team_id": "7", "event": ""})


# --- What is refused --------------------------------------------------------------------------------------

BUCKETS = "give s3://bucket/…/, gs://bucket/…/, http(s)://host/bucket/…/, or an absolute directory"
NO_QUERY = "leave out '?' and '#' with what follows them"
NO_USER = "leave out the user and the password"
SLASH = "end it with '/'"
SEGMENTS = "leave out '.' and '..', and one of two '/' in a row"
NO_GLOB = "leave out * ? { } [ ], for a choice of files belongs in source_file_pattern"
TOO_LONG = "give at most 1,000 characters"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", {BUCKETS, SLASH}),
        ("s3://bucket", {SLASH}),
        ("s3://bucket/data", {SLASH}),
        ("/srv/data", {SLASH}),
        ("data/", {BUCKETS}),
        ("./data/", {BUCKETS, SEGMENTS}),
        ("~/data/", {BUCKETS}),
        ("ftp://host/data/", {BUCKETS}),
        ("file:///srv/data/", {BUCKETS}),
        ("S3://bucket/", {BUCKETS}),
        ("s3:///data/", {BUCKETS}),
        ("s3://buck*t/", {BUCKETS}),
        ("https://host/", {BUCKETS}),
        ("https://host:port/bucket/", {BUCKETS}),
        ("s3://bucket/../other/", {SEGMENTS}),
        ("s3://bucket/%2e%2E/other/", {SEGMENTS}),
        ("s3://bucket/./a/", {SEGMENTS}),
        ("s3://bucket//", {SEGMENTS}),
        ("s3://bucket/a//b/", {SEGMENTS}),
        ("/srv/../etc/", {SEGMENTS}),
        ("//srv/", {SEGMENTS}),
        ("/srv//data/", {SEGMENTS}),
        ("s3://bucket/year=*/", {NO_GLOB}),
        ("s3://bucket/%2A/", {NO_GLOB}),
        ("gs://bucket/{a,b}/", {NO_GLOB}),
        ("/srv/[ab]/", {NO_GLOB}),
        ("/srv/a?/", {NO_GLOB}),
        ("s3://bucket/data/?versionId=1", {NO_QUERY}),
        ("https://host/bucket/data/#top", {NO_QUERY}),
        ("s3://user@bucket/", {NO_USER}),
        (WITH_PASSWORD, {NO_USER}),
        (SIGNED, {NO_QUERY}),
        (f"https://u:{SECRET}?{SECRET}@host/bucket/", {BUCKETS, NO_QUERY, SLASH}),
        (f"https://u:{SECRET}/{SECRET}@host/bucket/", {BUCKETS}),
        (f"ftp://{SECRET}@h/a/../*//b?{SECRET}", {BUCKETS, NO_USER, NO_QUERY, SLASH, SEGMENTS, NO_GLOB}),
        (f"/{'x' * 999}/", {TOO_LONG}),
        (f"/srv/{SECRET}\n/", {TOO_LONG}),
    ],
    ids=lambda value: ascii(value)[:30] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_path_that_cannot_be_is_told_all_that_it_must_not_have(path: str, words: set[str]) -> None:
    [problem] = refusal(a_document(an_ingestion(source_path=path)))
    assert problem.startswith("ingestions.0.source_path: ")
    known = (BUCKETS, NO_QUERY, NO_USER, SLASH, SEGMENTS, NO_GLOB, TOO_LONG)
    assert {one for one in known if one in problem} == words
    assert SECRET not in problem


COLLECTION = {"named_collection": "late"}
KEYS = {"access_key_env": "LATE_KEY", "secret_key_env": "LATE_SECRET"}
ONE_KEY, OTHER_KEY = ({name: value} for name, value in KEYS.items())


@pytest.mark.parametrize(
    ("ingestion", "problem"),
    [
        (
            an_ingestion(format="CSV", columns=dict.fromkeys(TARGETS, "c1") | {"host": "c0", "browser": "host"}),
            ".columns: entries 5, 6 cannot be: the columns of CSV are c1, c2, … c1000, by their place",
        ),
        (an_ingestion(format=ACCESS_LOG, columns={}), ": columns and constants give no team_id: no row is an event"),
        (
            an_ingestion(format=ACCESS_LOG, columns={"uuid": "id", "timestamp": "time"}, constants={"team_id": "1"}),
            f".columns: entry 2 cannot be: the columns of access_log are {', '.join(OFFERED)}",
        ),
        (an_ingestion(source_path="/a/", **COLLECTION), ": a directory is read without named_collection"),
        (an_ingestion(source_path="/a/", **KEYS), ": a directory is read without access_key_env, secret_key_env"),
        (an_ingestion(source_path="/a/", **ONE_KEY), ": a directory is read without access_key_env."),
        (an_ingestion(**COLLECTION, **KEYS), ": give either named_collection, or access_key_env and secret_key_env"),
        (an_ingestion(**COLLECTION, **OTHER_KEY), ": give either named_collection, or access_key_env and secret_key"),
        (an_ingestion(**ONE_KEY), ".secret_key_env is missing: access_key_env is given, and is of no use alone"),
        (an_ingestion(**OTHER_KEY), ".access_key_env is missing: secret_key_env is given, and is of no use alone"),
        (an_ingestion(from_="2026-01-03", until="2026-01-02"), ".from: it is after until. Give the first day"),
        (an_ingestion(dated_by="path"), ".dated_by: it says by what files are in a range of days. Give from or until"),
        (an_ingestion(columns={}), ": columns and constants give no team_id, uuid, timestamp, event: no row is an"),
        (an_ingestion(columns=TARGETS | {"load_id": "x"}), ".columns: load_id is filled by the load or by the table"),
        (an_ingestion(constants={"inserted_at": "x"}), ".constants: inserted_at is filled by the load or by the tab"),
        (an_ingestion(constants={"host": "x", "event": "x"}), ".constants: entry 2 is mapped by columns too"),
        (an_ingestion(columns={**TARGETS, "a b": "x"}), ".columns: entry 5 cannot be: a target column is letters"),
        (an_ingestion(columns={**TARGETS, "host": "x" * 256}), ".columns: entry 5 cannot be: a target column is let"),
        (an_ingestion(until="2026-02-30"), ".until: give a day as YYYY-MM-DD, from 1970-01-01 to 2148-12-31"),
        (an_ingestion(from_="2026-01-01T00:00"), ".from: give a day as YYYY-MM-DD, from"),
        (an_ingestion(from_="1767225600"), ".from: give a day as YYYY-MM-DD, from"),
        (an_ingestion(until="9999-12-31"), ".until: give a day as YYYY-MM-DD, from"),
        (an_ingestion(source_file_pattern=""), ".source_file_pattern: give a pattern of 1 to 1,000 characters"),
        (an_ingestion(source_file_pattern="x" * 1001), ".source_file_pattern: give a pattern of 1 to 1,000 char"),
        (an_ingestion(schedule="monthly"), ".schedule: give hourly, daily, weekly or five fields of cron"),
        (an_ingestion(schedule="0 0 31 2 *"), ".schedule: give hourly, daily, weekly or five fields of cron"),
        (an_ingestion(max_files_per_run="0"), ".max_files_per_run: Input should be greater than or equal to 1"),
        (an_ingestion(max_files_per_run="100001"), ".max_files_per_run: Input should be less than or equal to 100000"),
        (an_ingestion(max_bytes_per_run="0GB"), ".max_bytes_per_run: Input should be greater than or equal to 1"),
        (an_ingestion(max_bytes_per_run="9999999999TB"), ".max_bytes_per_run: Input should be less than or equal"),
        (an_ingestion(max_bytes_per_run="1.5GB"), ".max_bytes_per_run: give a whole number of bytes, alone or with"),
        (an_ingestion(max_bytes_per_run="50GiB"), ".max_bytes_per_run: give a whole number of bytes, alone or with"),
        (an_ingestion(cost_usd_per_gb="-0.01"), ".cost_usd_per_gb: Input should be greater than or equal to 0"),
        (an_ingestion(cost_usd_per_gb="inf"), ".cost_usd_per_gb: Input should be a finite number"),
        (an_ingestion(**KEYS | {"access_key_env": "AKIA" + "X7" * 8}), ".access_key_env: give the name of the envir"),
        (an_ingestion(**KEYS | {"secret_key_env": "aB3" * 13 + "x"}), ".secret_key_env: give the name of the envir"),
        (an_ingestion(since="2026-01-02"), ": 1 unknown field; there may be " + ", ".join(FIELDS)),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_place_with_what_may_be_there(ingestion: object, problem: str) -> None:
    [found] = refusal(a_document(ingestion))
    assert found.startswith(f"ingestions.0{problem}")


def test_a_constant_uuid_is_refused_also_where_it_is_all_that_gives_one() -> None:
    columns = {name: "c" for name in TARGETS if name != "uuid"}
    [found] = refusal(a_document(an_ingestion(columns=columns, constants={"uuid": "x"})))
    assert found.startswith("ingestions.0.constants: uuid tells events apart")


@pytest.mark.parametrize("name", ["late-logs", "late_logs", "Late-Logs"])
def test_a_name_is_given_once_whatever_its_hyphens_and_capitals(name: str) -> None:
    [found] = refusal(a_document(an_ingestion(name="late-logs"), an_ingestion(name="b"), an_ingestion(name=name)))
    assert found.startswith("ingestions.2: it is called as ingestions.0 is. Give each a name of its own")


def test_every_violation_of_a_document_is_said_at_once_by_its_place_and_nothing_of_the_document_is_shown() -> None:
    everything = dict.fromkeys(FIELDS, SECRET) | {SECRET: SECRET, "columns": [SECRET], "constants": {SECRET: [SECRET]}}
    everything |= {"name": f"{SECRET} x", "named_collection": WITH_PASSWORD, "source_file_pattern": SECRET * 200}
    everything |= {"access_key_env": SIGNED, "secret_key_env": f"{SECRET}/x"}
    ingestions = [
        everything,
        an_ingestion(
            name="twice-a", source_path=WITH_PASSWORD, dated_by="time", named_collection=SECRET, access_key_env=SECRET,
            columns={"team_id": SECRET, "load_id": SECRET, "host": SIGNED}, constants={"uuid": SECRET, "host": SECRET},
        ),
        an_ingestion(name="twice_A", source_path="/s/", secret_key_env=SECRET, columns={"uuid": SECRET}, constants={}),
        an_ingestion(name=SECRET, source_path=SIGNED, access_key_env=SECRET, from_="2026-02-01", until="2026-01-31"),
        SECRET,
        {},
    ]  # fmt: skip
    problems = refusal(a_document(*ingestions))
    assert SECRET not in "\n".join(problems).lower()
    first, second, third, fourth, fifth, last = (f"ingestions.{number}" for number in range(6))
    assert [problem.split(":")[0] for problem in problems] == [
        *[first] * 3, *(f"{first}.{field}" for field in sorted(FIELDS)),
        second, second, f"{second}.columns", f"{second}.columns", f"{second}.constants", f"{second}.constants",
        f"{second}.dated_by", f"{second}.source_path",
        third, third, third,
        f"{fourth}.from", f"{fourth}.secret_key_env is missing", f"{fourth}.source_path",
        fifth,
        last, *(f"{last}.{field} is missing" for field in ("format", "name", "source_file_pattern", "source_path")),
    ]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value",
    [
        f"{SECRET} ://?*",
        SIGNED,
        WITH_PASSWORD,
        [SECRET],
        {SECRET: SECRET},
        {"host": [SECRET]},
        {"uuid": f"://{SECRET}"},
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_secret_in_any_field_of_a_wrong_document_is_not_shown(field: str, value: object) -> None:
    # What is no field makes every one of them wrong.
    for one in (an_ingestion(**{field: value}), an_ingestion(**{field: value})):
        said = "\n".join(refusal(a_document(one | {"else": SECRET}, one, an_ingestion(name=SECRET))))
        assert "ingestions.0: 1 unknown field" in said
        assert SECRET not in said


@settings(deadline=None)
@given(
    st.recursive(
        st.sampled_from([SECRET, SIGNED, WITH_PASSWORD, "", None, 5, "events", "Parquet", "/a/", "2026-01-02"]),
        lambda deeper: st.one_of(
            st.lists(deeper, max_size=3),
            st.dictionaries(st.sampled_from([SECRET, SIGNED, "ingestions", *FIELDS, *TARGETS]), deeper, max_size=5),
        ),
        max_leaves=12,
    )
)
def test_nothing_of_a_refused_document_is_in_what_is_said_of_it(value: object) -> None:
    for text in (
        json.dumps({"ingestions": value}), a_document(value), a_document(an_ingestion(columns=value)),
        a_document(an_ingestion(constants=value)), a_document(an_ingestion(source_path=value, from_=value)),
    ):  # fmt: skip
        said = ""
        try:
            declared(text)
        except UserError as error:
            said = str(error)
        assert SECRET not in said
