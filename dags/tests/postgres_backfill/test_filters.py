"""Filters by themselves: as a text and back, what is refused and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.domain.errors import UserError
from dags.postgres_backfill.filters import MAX_FILTERS, Filter, Operator, parse, predicate, problems, text_of
from dags.postgres_backfill.quoting import identifier, literal

TYPES = {
    "id": "bigint",
    "tiny": "smallint",
    "amount": "numeric(10,2)",
    "Path": "character varying(20)",
    "path": "text",
    "at": "timestamp(3) with time zone",
    "day": "date",
    "flag": "boolean",
    "key": "uuid",
    "doc": "json",
    "place": "point",
    "mood": "mood",
    "tags": "text[]",
    "span": "tstzrange",
    "raw": "bytea",
    "handle": "extensions.citext",
}


def values(operator: Operator) -> st.SearchStrategy[str | None]:
    # What has a meaning in a text of filters comes often.
    odd = st.text(st.sampled_from("';\"= ,\\%_\n\tEéa1.-"), max_size=8)
    return odd | st.text(st.characters(exclude_characters="\0")) if operator.takes_a_value else st.none()


names = st.text(st.characters(exclude_characters="\0"), max_size=8) | st.sampled_from([*TYPES, "Null", "is", 'a"b'])
filters = st.sampled_from(Operator).flatmap(lambda o: st.builds(Filter, names, st.just(o), values(o)))


@given(st.lists(filters, max_size=MAX_FILTERS).map(tuple))
def test_filters_read_back_from_their_text_as_they_are(asked: tuple[Filter, ...]) -> None:
    assert parse(text_of(asked)) == asked


words = [
    "a",
    '"B"',
    '"',
    "'",
    "'x''y'",
    "'a;b'",
    "=",
    "!=",
    "<>",
    "like",
    "IS NULL",
    "is",
    "not",
    "1",
    "-.5",
    "true",
    ";",
    "; ",
]


@given(st.lists(st.sampled_from(words), max_size=12).map(" ".join))
def test_what_can_be_read_has_one_text_and_what_cannot_be_is_refused_with_a_place(text: str) -> None:
    try:
        found = parse(text)
    except UserError:
        assert all("character" in line or "filters, and at most" in line for line in refused(text))
    else:
        assert parse(text_of(found)) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ; ", None),
        ("id = 5;", [Filter("id", Operator.EQUAL, "5")]),
        ("ID<>-1.5e3 ;\n\"Path\" like '%it''s;%'", [
            Filter("id", Operator.UNEQUAL, "-1.5e3"),
            Filter("Path", Operator.LIKE, "%it's;%"),
        ]),
        ("flag=TRUE; a$b is  not\nnull", [Filter("flag", Operator.EQUAL, "TRUE"), Filter("a$b", Operator.IS_NOT_NULL)]),
        ("id>=.5;id<=+7", [Filter("id", Operator.GREATER_OR_EQUAL, ".5"), Filter("id", Operator.LESS_OR_EQUAL, "+7")]),
    ],
)  # fmt: skip
def test_a_text_is_read_as_sql_is(text: str, expected: list[Filter] | None) -> None:
    if expected is None:
        with pytest.raises(UserError):
            parse(text)
    else:
        assert list(parse(text)) == expected


def refused(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        parse(text)
    first, *lines = str(caught.value).splitlines()
    assert first == "the filters cannot be read, nothing was touched:"
    return lines


def test_a_text_is_refused_with_every_violation_and_where_it_is() -> None:
    operators = "one of =, !=, <, >, <=, >=, LIKE, ILIKE, IS NULL, IS NOT NULL"
    value = "a text in single quotes, a number, true or false after ="
    end = "; and the next filter, or nothing,"
    open_quote = "a quote in it has no end: double those that belong to the text"
    assert refused("path == 'a'; 5 = id; path = 2026-01-31; path = \"a\"; id = NULL") == [
        f"filter 1, character 7: expected {value} but found = 'a'",
        'filter 2, character 14: expected a column, name or "Name" but found 5 = id',
        f"filter 3, character 29: expected {value} but found 2026-01-31",
        f'filter 4, character 48: expected {value} but found "a"',
        f"filter 5, character 58: expected {value} but found NULL; rows without a value are found by IS NULL",
    ]
    assert refused("id = 1 AND id = 2; id IN (1); ; path =; path = 'it's';") == [
        f"filter 1, character 8: expected {end} but found AND id = 2; all filters must hold, there is no OR",
        f"filter 2, character 23: expected {operators} after id but found IN (1)",
        'filter 3, character 31: expected a column, name or "Name" but found the end',
        f"filter 4, character 39: expected {value} but found the end",
        f"filter 5, character 52: expected {end} but found s';; {open_quote}",
    ]
    assert refused("id = '1\0'" + "; id = 1" * 5) == [
        "character 8: NUL, which no text of PostgreSQL has",
        "there are 6 filters, and at most 5 are taken: leave some out, or declare a query",
    ]


def test_filters_are_checked_against_the_table_and_every_problem_is_told_at_once() -> None:
    assert problems([Filter("id", Operator.EQUAL, "1")] * MAX_FILTERS, TYPES) == []
    asked = [
        Filter("pth", Operator.EQUAL, "a"),
        Filter("PATH", Operator.EQUAL),
        Filter("zzz", Operator.IS_NULL, "a"),
        Filter("doc", Operator.LESS, "\ud800"),
        Filter("id", Operator.LIKE, "1%\\"),
        Filter("id", Operator.EQUAL, "x" * 99),
    ]
    missing = "takes a value, and there is none; rows without a value are found by IS NULL"
    columns = 'id, tiny, amount, "Path", path, at, day, flag, key, doc, place, mood, tags, span, raw, handle'
    ordered = "=, !=, <, >, <=, >=, IS NULL, IS NOT NULL"
    escape = "the pattern ends within an escape, which PostgreSQL refuses: double the backslash at its end"
    assert problems(asked, TYPES) == [
        "there are 6 filters, and at most 5 are taken: leave some out, or declare a query",
        "filter 1, pth = 'a': there is no column pth: did you mean path?",
        'filter 2, "PATH" =: there is no column "PATH": did you mean path?',
        f'filter 2, "PATH" =: = {missing}',
        f"filter 3, zzz IS NULL 'a': there is no column zzz: there are {columns}",
        "filter 3, zzz IS NULL 'a': IS NULL takes no value: leave it out",
        r"filter 4, doc < '\ud800': the column is json, which has no <: use one of IS NULL, IS NOT NULL",
        r"filter 4, doc < '\ud800': the value has half of a surrogate pair, which is no character",
        rf"filter 5, id LIKE '1%\': the column is bigint, which has no LIKE: use one of {ordered}",
        rf"filter 5, id LIKE '1%\': {escape}",
        f"filter 6, id = '{'x' * 54}…: the column is bigint, and the value is no whole number",
    ]
    with pytest.raises(ValueError, match="there is no column pth"):
        predicate(asked, TYPES)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("tiny", "32768", "is out of range: smallint holds -32768 to 32767"),
        ("tiny", "-0x8000", None),
        ("tiny", "9" * 5000, "is out of range: smallint holds -32768 to 32767"),
        ("id", " 007 ", None),
        ("id", "1.0", "is no whole number"),
        ("amount", "1.005", None),
        ("amount", "1,5", "is no number"),
        ("flag", "maybe", "is no boolean"),
        ("key", "0190a6c2", "is no UUID: 32 hex digits, with or without hyphens"),
        ("day", "2026-02-30", "is no date: day is out of range for month"),
        ("day", "soon", "is no date, such as '2026-01-31'"),
        ("at", "Jan 8 10:00 America/New_York", None),
        ("at", "-infinity", None),
        ("day", "J .", None),
        ("at", "Tomorrow 10:00", "would be another time in every batch: write the time that 'Tomorrow' stands for"),
        ("span", "[now,]", "would be another time in every batch: write the time that 'now' stands for"),
        ("path", "now", None),
        ("mood", "now", None),
        ("tags", "{now}", None),
    ],
)
def test_a_value_that_postgresql_would_refuse_is_refused_early(column: str, value: str, expected: str | None) -> None:
    found = problems([Filter(column, Operator.EQUAL, value)], TYPES)
    assert found == ([] if expected is None else [found[0]])
    assert expected is None or found[0].endswith(f"the column is {TYPES[column]}, and the value {expected}")


def test_only_texts_and_bytes_are_compared_with_patterns_and_an_order_is_where_postgresql_has_one() -> None:
    having = {
        operator: {name for name in TYPES if not problems([Filter(name, operator, value)], TYPES)}
        for operator, value in ((Operator.LIKE, "1"), (Operator.ILIKE, "1"), (Operator.IS_NULL, None))
    }
    assert having[Operator.ILIKE] == {"Path", "path", "handle"}
    assert having[Operator.LIKE] == {"Path", "path", "handle", "raw"}
    assert having[Operator.IS_NULL] == set(TYPES)


def test_a_predicate_holds_literals_without_a_type_and_names_as_they_are() -> None:
    asked = parse("""path = 'a\\''b'; "Path" ILIKE '%'; day IS NULL""")
    assert predicate(asked, TYPES) == """("path" = E'a\\\\''b') AND ("Path" ILIKE E'%') AND ("day" IS NULL)"""
    assert predicate([], TYPES) == "true"
    assert (identifier('a"b;--'), literal("'\\'")) == ('"a""b;--"', "E'''\\\\'''")
    for name in ("", "é" * 32, "a\0", "\ud800"):
        with pytest.raises(ValueError, match="a name has"):
            identifier(name)
    with pytest.raises(ValueError, match="a value has the character NUL"):
        literal("\0")
