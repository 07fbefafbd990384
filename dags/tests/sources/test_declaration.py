"""The declaration of sources: what is accepted, and that what is refused is named by its place and never shown."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from dagster import ScheduleDefinition
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dags.domain.errors import UserError
from dags.sources import declaration
from dags.sources.cron import is_cron
from dags.sources.declaration import DECLARATION, Pipeline, Sources, SourceTable, declared
from dags.sources.parts import Declared

EXAMPLE = """
pipelines:
  - name: tenant-import
    dsn_env: TENANT_POSTGRES_DSN          # the variable that holds postgresql://…; or named_collection: …
    tables:
      - table: public.page_views
        key: id                           # unique and ordered: batches go by it
        changed: updated_at               # optional: what an incremental load goes by
        into: events
        columns: {team_id: tenant_id, uuid: event_id, timestamp: happened_at, session_id: session, pathname: path}
        constants: {event: $pageview}
      - query: late_orders                # a declared query, one file, for joins and subqueries
"""
TARGETS = {"team_id": "t", "uuid": "u", "timestamp": "at", "event": "e"}
SECRET = "hunter2"
ADDRESS = f"postgresql://u:{SECRET}@db:5432/d"


def a_table(**fields: object) -> dict[str, Any]:
    return {"table": "page_views", "key": "id", "columns": dict(TARGETS)} | fields


def a_document(*tables: dict[str, Any], **fields: object) -> str:
    pipeline = {"name": "a", "dsn_env": "A", "tables": list(tables or (a_table(),))} | fields
    return yaml.safe_dump({"pipelines": [pipeline]})


def refusal(text: str) -> list[str]:
    with pytest.raises(UserError) as refused:
        declared(text)
    return str(refused.value).splitlines()


def test_the_example_is_accepted_as_it_stands() -> None:
    views = SourceTable(
        table="public.page_views",
        key="id",
        changed="updated_at",
        columns={
            "team_id": "tenant_id", "uuid": "event_id", "timestamp": "happened_at", "session_id": "session",
            "pathname": "path",
        },
        constants={"event": "$pageview"},
    )  # fmt: skip
    orders = SourceTable(query="late_orders")
    sources = declared(EXAMPLE)
    assert sources == Sources(
        pipelines=(Pipeline(name="tenant-import", dsn_env="TENANT_POSTGRES_DSN", tables=(views, orders)),)
    )
    pipeline = sources.pipeline("tenant-import")
    assert (pipeline.table("public.page_views"), pipeline.table("late_orders")) == (views, orders)
    assert (views.name, views.source, views.relation) == ("public.page_views", "table", ("public", "page_views"))
    assert (orders.name, orders.source, orders.relation) == ("late_orders", "query", None)
    assert (views.maps_by_name, orders.maps_by_name) == (False, True)
    assert (views.into, views.time_zone, views.schedule) == ("events", "UTC", None)


def test_names_that_are_not_declared_are_answered_with_those_that_are() -> None:
    sources = declared(EXAMPLE)
    with pytest.raises(UserError, match=r"^pipeline is 'x': WEB_ANALYTICS_SOURCES declares tenant-import$"):
        sources.pipeline("x")
    with pytest.raises(
        UserError,
        match=r"^table_name is 'x': the pipeline tenant-import has public\.page_views, late_orders$",
    ):
        sources.pipeline("tenant-import").table("x")
    with pytest.raises(UserError, match=r"none are declared: let WEB_ANALYTICS_SOURCES name a YAML file"):
        declared("pipelines: []").pipeline("x")


def test_what_was_declared_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        declared(EXAMPLE).pipelines[0].name = "b"


@pytest.mark.parametrize(
    ("table", "relation"),
    [
        ("views", (None, "views")),
        ("s1.views_2", ("s1", "views_2")),
        ('"Page Views"', (None, "Page Views")),
        ('"a.b"."c""d"', ("a.b", 'c"d')),
        ('public."Ä"', ("public", "Ä")),
    ],
)
def test_a_table_is_named_as_sql_has_it(table: str, relation: tuple[str | None, str]) -> None:
    assert declared(a_document(a_table(table=table))).pipelines[0].tables[0].relation == relation


def test_everything_that_can_be_given_is_accepted() -> None:
    table = a_table(
        changed="Updated At", into="events", constants={"host": "", "viewport_width": "0"}, time_zone="Europe/Berlin",
        schedule="15 */6 * * 1-5", schedule_time_zone="America/New_York",
    )  # fmt: skip
    pipeline = declared(a_document(table, dsn_env=None, named_collection="tenant")).pipeline("a")
    [found] = pipeline.tables
    assert (pipeline.named_collection, found.changed, found.constants) == (
        "tenant", "Updated At", {"host": "", "viewport_width": "0"},
    )  # fmt: skip
    assert (found.time_zone, found.schedule, found.schedule_time_zone) == (
        "Europe/Berlin", "15 */6 * * 1-5", "America/New_York",
    )  # fmt: skip


def test_every_violation_of_a_document_is_said_at_once_by_its_place_and_nothing_of_the_document_is_shown() -> None:
    tables: list[Any] = [
        a_table(
            table=f"public.{SECRET.capitalize()}",
            columns={"team_id": "t", f"{SECRET}-x": "x", "load_id": "x", "uuid": ADDRESS, "event": "e"},
            constants={"host": [SECRET], "inserted_at": "x", "event": SECRET, "qualifies": ""},
            time_zone=SECRET, schedule=SECRET, schedule_time_zone=SECRET, into=SECRET, changed=ADDRESS, hunter2="x",
        ),
        {"table": f"{SECRET} x", "query": "late", "key": ""},
        {"query": "late", "schedule": "0 0 31 2 *", "constants": {"uuid": SECRET}},
        {"query": f"../{SECRET}"},
        {"columns": TARGETS},
        SECRET,
        a_table(table="twice"),
        a_table(table='"twice"', key=None),
    ]  # fmt: skip
    document = {
        "pipelines": [
            {"name": f"a {SECRET}", "dsn_env": ADDRESS, "named_collection": f"{SECRET}-x", "tables": tables},
            {"name": "b", "tables": []},
            {"name": "b", "dsn_env": "B"},
            SECRET,
        ],
        SECRET: SECRET,
    }
    problems = refusal(yaml.safe_dump(document, sort_keys=False))
    assert SECRET not in "\n".join(problems).lower()
    table = "pipelines.0.tables"
    assert [problem.split(":")[0] for problem in problems] == [
        "pipelines.0", "pipelines.0.dsn_env", "pipelines.0.name", "pipelines.0.named_collection",
        f"{table}.0", f"{table}.0", f"{table}.0.changed", f"{table}.0.columns", f"{table}.0.columns",
        f"{table}.0.constants", f"{table}.0.constants", f"{table}.0.constants", f"{table}.0.constants",
        f"{table}.0.into", f"{table}.0.schedule", f"{table}.0.schedule_time_zone", f"{table}.0.table",
        f"{table}.0.time_zone",
        f"{table}.1", f"{table}.1", f"{table}.1.key", f"{table}.1.table",
        f"{table}.2", f"{table}.2.constants", f"{table}.2.schedule", f"{table}.2.schedule",
        f"{table}.3.query",
        f"{table}.4", f"{table}.5", f"{table}.7", f"{table}.7.key is missing",
        "pipelines.1", "pipelines.1.tables is empty", "pipelines.2", "pipelines.2.tables is missing",
        "pipelines.3", "the declaration of sources",
    ]  # fmt: skip
    said = "\n".join(problems)
    for words in (
        "pipelines.0.dsn_env: give the name of the environment variable that holds postgresql://…, and not the address",
        "pipelines.0: give either dsn_env or named_collection",
        f"{table}.0: columns and constants give no timestamp: no row is an event without",
        f"{table}.0.columns: entries 2, 4 cannot be: a target column is letters",
        f"{table}.0.columns: load_id is filled by the load or by the table",
        f"{table}.0.constants: entry 1 cannot be",
        f"{table}.0.constants: entry 3 is mapped by columns too",
        f"{table}.0.constants: inserted_at is filled",
        f"{table}.0.constants: qualifies is filled",
        f"{table}.0.into: Input should be 'events'",
        f"{table}.0: 1 unknown field; there may be table, query, key, ",
        f"{table}.1: give either table or query",
        f"{table}.2.schedule: a scheduled load is incremental",
        f"{table}.2.constants: uuid tells events apart",
        f"{table}.2: it is called as {table}.1 is",
        f"{table}.4: give either table or query",
        f"{table}.7: it is called as {table}.6 is",
        "pipelines.2: it is called as pipelines.1 is",
    ):
        assert words in said


@pytest.mark.parametrize(
    "text",
    [
        "", "~", "- a", "pipelines", "a: [b", "pipelines: &a []", "pipelines: *a", "pipelines: !!python/name:os []",
        "pipelines: []\npipelines: []", "pipelines: []\n---\npipelines: []", "? [a]\n: b", "pipelines: \x00",
        "pipelines: " + "[" * 100_000, "pipelines: [" + "x," * 10_000 + "]", "\ud800: a", "imports: []",
        "{" + ",".join(map(str, range(200_000))) + "}", '{"pipelines": [{"name": "\\ud800"}]}',
    ],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_what_is_no_declaration_is_refused_by_that_name(text: str) -> None:
    said = "\n".join(refusal(text))
    assert DECLARATION.noun in said or said.startswith("pipelines")
    assert "plan" not in said
    assert len(said) < 1000


@given(
    st.recursive(
        st.sampled_from([SECRET, ADDRESS, f"{SECRET}; drop", "", None, 5, "events", "id", "2026-01-02"]),
        lambda deeper: st.one_of(
            st.lists(deeper, max_size=3),
            st.dictionaries(
                st.sampled_from([SECRET, ADDRESS, "pipelines", *Pipeline.model_fields, *SourceTable.model_fields]),
                deeper,
                max_size=5,
            ),
        ),
        max_leaves=12,
    )
)
def test_nothing_of_a_refused_document_is_in_what_is_said_of_it(value: object) -> None:
    for text in (
        yaml.safe_dump(value), yaml.safe_dump({"pipelines": value}), yaml.safe_dump({"pipelines": [value]}),
        a_document(tables=[value]), a_document(a_table(columns=value)), a_document(a_table(table=value)),
    ):  # fmt: skip
        said = ""
        try:
            declared(text)
        except UserError as error:
            said = str(error)
        assert SECRET not in said
        assert "://u" not in said


@pytest.mark.parametrize("field", ["table", "key", "changed"])
@pytest.mark.parametrize("value", ["", "a\nb", "x" * 64, "ä" * 32, ADDRESS, "a\x7fb"], ids=ascii)
def test_a_name_that_postgresql_does_not_have_is_refused(field: str, value: str) -> None:
    [problem] = [one for one in refusal(a_document(a_table(**{field: value}))) if f".{field}:" in one]
    assert value not in problem or not value


def test_two_pipelines_may_have_the_same_table() -> None:
    [first], [second] = (yaml.safe_load(a_document(name=name))["pipelines"] for name in "ab")
    assert len(declared(yaml.safe_dump({"pipelines": [first, second]})).pipelines) == 2


# --- Schedules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["* * * * *", "15 */6 * * *", "0,30 1-5 * 1-12/2 0-7", "0 0 31 1,3 *"])
def test_a_schedule_is_five_fields(text: str) -> None:
    assert is_cron(text)
    assert ScheduleDefinition(job_name="any", cron_schedule=text).cron_schedule == text


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
        "5-1 * * * *", "*/0 * * * *", "5/10 * * * *", "a * * * *", "0 0 31 2,4 *", "0 0 31 2 1", "* *  * * *",
        "1,, * * * *", "\u0661 * * * *",
    ],
)  # fmt: skip
def test_what_is_no_schedule_or_never_comes_is_none(text: str) -> None:
    assert not is_cron(text)


def test_every_part_of_the_document_is_known_by_the_field_that_holds_it() -> None:
    assert set(declaration._PARTS.values()) == set(Declared.__subclasses__())
