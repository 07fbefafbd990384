"""A statement is a file with a header, runs only with exactly its parameters, and its cost is counted."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import pytest

import dags
from dags.clickhouse.sql import Cost, Sql, statement
from dags.domain.errors import UnreadableError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

ROOT = Path(dags.__file__).parent
SQL_FILES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.sql"))

# A package of statements for these tests alone. Values arrive as they were bound, names where the `$` stood.
STATEMENTS = {
    "echo": "-- Say what was bound.\nSELECT {number:UInt64}, {words:String}, {day:Date}\n",
    "nothing_bound": "-- Bind nothing.\nSELECT 1\n",
    "twice": "-- Bind one value twice.\nSELECT {number:UInt64} + {number:UInt64}\n",
    "named": "-- A name that code fills.\nSELECT number FROM $table WHERE number < {number:UInt64}\n",
    "dollars": "-- A dollar of its own, doubled: $$.\nSELECT '$$pageview'\n",
    "create": "-- Answers nothing.\nCREATE TABLE $table (n UInt64) ENGINE = MergeTree ORDER BY n\n",
    "fill": "-- Writes rows.\nINSERT INTO $table SELECT number FROM numbers({number:UInt64})\n",
    "read": "-- Reads rows.\nSELECT sum(n) FROM $table\n",
    "read_all": "-- Reads all rows.\nSELECT n FROM $table\n",
    "broken": "-- No such table.\nSELECT * FROM a_table_that_nobody_made\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"statements_{tmp_path.name}"
    directory = tmp_path / name
    directory.mkdir()
    (directory / "__init__.py").touch()
    for file, text in STATEMENTS.items():
        (directory / f"{file}.sql").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


@pytest.fixture
def sql(client: Client, package: str) -> Sql:
    return Sql(package, client)


# --- Parameters -------------------------------------------------------------------------------------------


def test_values_are_bound_by_the_server_whatever_they_hold(sql: Sql) -> None:
    quoted = "it's {a} \\ % $1; -- \n DROP TABLE events"
    rows = sql.rows("echo", {"number": 2**64 - 1, "words": quoted, "day": "2026-01-02"})
    assert [(number, words, str(day)) for number, words, day in rows] == [(2**64 - 1, quoted, "2026-01-02")]


def test_a_value_named_twice_is_bound_once(sql: Sql) -> None:
    assert sql.parameters("twice") == {"number"}
    assert sql.rows("twice", {"number": 21}) == [(42,)]


def test_a_statement_without_parameters_needs_none(sql: Sql) -> None:
    assert sql.parameters("nothing_bound") == frozenset()
    assert sql.rows("nothing_bound") == [(1,)]


MISMATCHES: dict[str, tuple[str, dict[str, object], str]] = {
    "one is missing": (
        "echo",
        {"number": 1, "words": "a"},
        "echo.sql binds ['day', 'number', 'words'], but got ['number', 'words']",
    ),
    "one is too many": (
        "echo",
        {"number": 1, "words": "a", "day": "2026-01-02", "dya": "2026-01-02"},
        "echo.sql binds ['day', 'number', 'words'], but got ['day', 'dya', 'number', 'words']",
    ),
    "one is misspelt": ("twice", {"nubmer": 1}, "twice.sql binds ['number'], but got ['nubmer']"),
    "none is given": ("twice", {}, "twice.sql binds ['number'], but got []"),
    "none is wanted": ("nothing_bound", {"number": 1}, "nothing_bound.sql binds [], but got ['number']"),
}


@pytest.mark.parametrize(("name", "parameters", "words"), MISMATCHES.values(), ids=MISMATCHES.keys())
def test_parameters_that_are_not_the_statements_are_refused_before_it_runs(
    sql: Sql, name: str, parameters: dict[str, object], words: str
) -> None:
    for run in (sql.rows, sql.command):
        with pytest.raises(ValueError, match="binds") as refused:
            run(name, parameters)
        assert str(refused.value) == words
    assert sql.cost == Cost()


# --- Identifiers ------------------------------------------------------------------------------------------


def test_a_name_is_filled_where_the_dollar_stands(sql: Sql) -> None:
    sql.command("create", table="three")
    sql.command("fill", {"number": 3}, table="three")
    assert sql.rows("read", table="three") == [(3,)]


@pytest.mark.parametrize(
    "refused",
    ["", "a b", "a;b", "a-b", "a.b", "1a", "`a`", "a'", "a\n", "événements", "a--", "(SELECT 1)"],
    ids=repr,
)
def test_what_is_no_plain_name_is_refused(package: str, refused: str) -> None:
    with pytest.raises(ValueError, match="identifiers are letters, digits and _") as error:
        statement(package, "create", {"table": refused})
    assert f"table is {refused!r}" in str(error.value)


def test_a_dollar_that_nobody_fills_is_an_error(package: str) -> None:
    with pytest.raises(KeyError, match="table"):
        statement(package, "create", {})


def test_a_doubled_dollar_is_a_dollar(sql: Sql) -> None:
    assert sql.rows("dollars") == [("$pageview",)]


# --- Cost -------------------------------------------------------------------------------------------------


def test_the_cost_is_the_rows_and_bytes_that_the_engine_read(sql: Sql) -> None:
    sql.command("create", table="many")
    sql.command("fill", {"number": 1000}, table="many")
    before = sql.cost
    for _ in range(2):
        assert sql.rows("read", table="many") == [(499_500,)]
    assert sql.cost.queries - before.queries == 2
    assert sql.cost.seconds > before.seconds > 0
    if before.rows_read is None or before.bytes_read is None:
        # The embedded driver reports the rows of the answer; unknown is said to be unknown.
        assert (sql.cost.rows_read, sql.cost.bytes_read) == (None, None)
        assert "rows read" not in str(sql.cost)
    else:
        assert (sql.cost.rows_read, sql.cost.bytes_read) == (before.rows_read + 2000, before.bytes_read + 16_000)


def test_a_command_counts_too(sql: Sql) -> None:
    sql.command("create", table="many")
    assert sql.cost.queries == 1
    assert sql.cost.seconds > 0


def test_costs_add_up_and_are_said_in_words() -> None:
    total = Cost(1, 2_000, 30, 0.25) + Cost(2, 1_000_000, 5, 1.5)
    assert total == Cost(3, 1_002_000, 35, 1.75)
    assert str(total) == "3 queries, 1,002,000 rows read, 1.75 s"


def test_settings_go_with_every_statement(client: Client, package: str) -> None:
    limited = Sql(package, client, settings={"max_rows_to_read": 10})
    limited.command("create", table="many")
    limited.command("fill", {"number": 5}, table="many")
    assert limited.rows("read", table="many") == [(10,)]
    Sql(package, client).command("fill", {"number": 50}, table="many")
    with pytest.raises(Exception, match="TOO_MANY_ROWS"):
        limited.rows("read", table="many")


def test_a_statement_that_must_answer_one_row_and_does_not_is_an_error_that_names_it(sql: Sql) -> None:
    sql.command("create", table="many")
    assert sql.row("read", table="many") == (0,)
    with pytest.raises(UnreadableError, match=r"read_all.sql answers one row, and 0 came"):
        sql.row("read_all", table="many")


def test_an_error_of_the_engine_reaches_the_caller(sql: Sql) -> None:
    with pytest.raises(Exception, match="a_table_that_nobody_made"):
        sql.rows("broken")


# --- The project's own statements -------------------------------------------------------------------------


def _without_comments_and_strings(text: str) -> str:
    """What the server acts on: strings become '', comments nothing."""
    pattern = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'", re.DOTALL)
    return pattern.sub(lambda found: "''" if found[0].startswith("'") else "", text)


def test_there_are_statements_to_look_at() -> None:
    assert len(SQL_FILES) > 30
    assert "team_selection/selection.sql" in SQL_FILES


TEXTS = {file: (ROOT / file).read_text(encoding="utf-8") for file in SQL_FILES}


def test_a_statement_begins_with_a_header_that_says_something() -> None:
    assert [file for file, text in TEXTS.items() if not re.match(r"-- \S+ \S+", text.splitlines()[0])] == []


def test_a_file_holds_one_statement() -> None:
    acted_on = {file: _without_comments_and_strings(text) for file, text in TEXTS.items()}
    verbs = "EXPLAIN|DESCRIBE|SELECT|WITH|INSERT|CREATE|ALTER|DROP|DELETE|SYSTEM|OPTIMIZE|TRUNCATE|RENAME|EXCHANGE"
    verbs += "|KILL|CHECK"
    assert [file for file, text in acted_on.items() if not re.match(rf"\s*({verbs})\b", text)] == []
    assert [file for file, text in acted_on.items() if ";" in text] == []


# What code fills with more than a name; see `dags.clickhouse.sql.Part`, and `Expression`.
FILLED_WITH = {
    "counts": "SELECT 1",
    "present": "SELECT 1",
    "rows": "SELECT 1",
    "within": "SELECT 1",
    "order": "ORDER BY 1",
    "declaration": "name String",
    "merged_bytes": "1",
    "granularity": "1",
}


def test_clickhouse_itself_can_read_every_file(client: Client) -> None:
    texts = {file: (ROOT / file).read_text(encoding="utf-8") for file in SQL_FILES}
    filled = [
        Template(text).safe_substitute({name: FILLED_WITH.get(name, name) for name in re.findall(r"\$(\w+)", text)})
        for text in texts.values()
    ]
    # A server takes 128 KiB of a value.
    read = [
        is_read
        for at in range(0, len(filled), 50)
        for is_read in client.query(
            "SELECT arrayMap(text -> isNotNull(formatQueryOrNull(text)), {texts:Array(String)})",
            {"texts": filled[at : at + 50]},
        ).result_rows[0][0]
    ]
    assert [file for file, is_read in zip(texts, read, strict=True) if not is_read] == []


def test_every_parameter_has_a_type_and_is_one_that_the_check_sees() -> None:
    braces = {file: re.findall(r"\{[^}]*\}?", _without_comments_and_strings(text)) for file, text in TEXTS.items()}
    known = [(file, brace) for file, found in braces.items() for brace in found]
    assert [one for one in known if not re.fullmatch(r"\{[a-z_]+:[A-Z]\w*(\([\w, ()']*\))?\}", one[1])] == []
    # A brace in a comment would be asked for as a parameter that the statement does not have.
    bound = {file: {brace[1:].partition(":")[0] for brace in found} for file, found in braces.items()}
    packages = {file: ".".join(("dags", *Path(file).parent.parts)) for file in TEXTS}
    seen = {file: Sql(package, None).parameters(Path(file).stem) for file, package in packages.items()}  # type: ignore[arg-type]
    assert seen == bound


def test_an_instant_is_never_bound_without_its_fractions() -> None:
    # `{x:DateTime}` drops fractions of a second in silence.
    assert [file for file, text in TEXTS.items() if re.search(r"\{\w+:DateTime\b(?!64)", text)] == []


@pytest.mark.parametrize("among", [1, 2, 3])
def test_shares_of_a_cost_add_up_to_it_and_what_is_unknown_stays_so(among: int) -> None:
    whole, unknown = Cost(7, 100, 11, 3.0), Cost(7, None, None, 3.0)
    for cost in (whole, unknown):
        shares = cost.shares(among)
        assert len(shares) == among
        assert sum(shares[1:], shares[0]) == cost
    assert max(one.rows_read or 0 for one in whole.shares(among)) <= 100 / among + 1
