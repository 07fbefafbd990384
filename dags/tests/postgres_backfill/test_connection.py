"""An address becomes what ClickHouse is handed; what is wrong with it is said at once, and nothing is repeated."""

from __future__ import annotations

import copy
import pickle
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.domain.errors import SettingsError
from dags.postgres_backfill.connection import EXPECTED, Connection
from dags.sources.declaration import Pipeline, SourceTable

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "Hunter2 'q\\z\"w {f}|g,h%@:/?#[]&=é"
TABLES = (SourceTable(query="late"),)
PIPELINE = Pipeline(name="import", dsn_env="IMPORT_DSN", tables=TABLES)


def connection(text: str) -> Connection:
    return Connection.of(PIPELINE, {"IMPORT_DSN": text})


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        connection(text)
    first, *listed = str(refused.value).splitlines()
    assert first == f"IMPORT_DSN, the address of the pipeline import, cannot be used, nothing was touched; {EXPECTED}"
    return [one.removeprefix("- ") for one in listed]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=any", "-days", "2"]
    files = ["-keyout", str(directory / "key"), "-out", str(directory / "ca.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    return directory / "ca.pem"


# --- What is handed over ----------------------------------------------------------------------------------


def test_an_address_is_bound_value_by_value() -> None:
    made = connection(f" postgresql://app:{quote(PASSWORD, safe='')}@db.example:5433/l%C3%A4te ")
    assert made.function == (
        "postgresql({address:String}, {database:String}, query({text:String}), {user:String}, {password:String})"
    )
    assert made.parameters("SELECT 1") == {
        "address": "db.example:5433", "database": "läte", "user": "app", "password": PASSWORD, "text": "SELECT 1",
    }  # fmt: skip
    assert made.whom == "PostgreSQL at app@db.example:5433/läte"
    [note] = made.notes
    assert note.startswith("IMPORT_DSN has no sslmode: TLS is used where PostgreSQL offers it, and who answers is not")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("postgres://u@h/d", "h:5432"),
        ("postgresql://u@10.0.0.1/d", "10.0.0.1:5432"),
        ("postgresql://u@[::1]/d", "[::1]:5432"),
        ("postgresql://u:@[2001:db8::2]:65535/d?", "[2001:db8::2]:65535"),
    ],
)
def test_an_address_may_leave_out_port_and_password(text: str, address: str) -> None:
    bound = connection(text).parameters("")
    assert (bound["address"], bound["password"]) == (address, "")


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_a_mode_that_verifies_nothing_is_clickhouses_own_and_is_noted(mode: str) -> None:
    made = connection(f"postgresql://u:p@h/d?sslmode={mode}")
    assert "sslmode" not in made.function
    assert made.notes[0].startswith(f"IMPORT_DSN has sslmode={mode}: TLS is used where PostgreSQL offers it, and who")


def test_a_mode_that_asks_for_more_is_handed_over_with_certificates_alone(certificate: Path, tmp_path: Path) -> None:
    made = connection("postgresql://u:p@h/d?sslmode=require")
    assert made.function.endswith("{password:String}, sslmode = {sslmode:String})")
    assert made.parameters("")["sslmode"] == "require"
    assert "who answers is not verified" in made.notes[0]
    both = tmp_path / "both.pem"
    both.write_bytes(b"# \xff\n" + certificate.read_bytes() + (certificate.parent / "key").read_bytes())
    notes = {"require": 1, "verify-ca": 1, "verify-full": 0}
    for mode, count in notes.items():
        made = connection(f"postgresql://u:p@h/d?sslrootcert={quote(str(both))}&sslmode={mode}")
        assert made.function.endswith(", sslmode = {sslmode:String}, sslrootcert_pem = {sslrootcert_pem:String})")
        assert made.parameters("")["sslmode"] == mode
        assert made.parameters("")["sslrootcert_pem"] == certificate.read_text()
        assert len(made.notes) == count


def test_a_named_collection_is_named_and_binds_the_text_alone() -> None:
    made = Connection.of(Pipeline(name="a", named_collection="tenant_pg", tables=TABLES), {})
    assert made.function == "postgresql(tenant_pg, query = {text:String})"
    assert made.parameters("SELECT 1") == {"text": "SELECT 1"}
    assert made.whom == "PostgreSQL of the named collection tenant_pg"
    assert made.notes


# --- What is refused --------------------------------------------------------------------------------------


def test_an_address_that_is_not_set_is_named() -> None:
    for environment in ({}, {"IMPORT_DSN": " "}):
        with pytest.raises(SettingsError, match=r"^IMPORT_DSN, which the pipeline import names as dsn_env, is not set"):
            Connection.of(PIPELINE, environment)


def test_everything_that_is_wrong_with_an_address_is_said_at_once_and_nothing_of_it() -> None:
    said = problems("mysql://:hunter2%@h{1..3}:hunter2/?sslmode=hunter2&host=hunter2&hunter-2=x&sslrootcert=hunter2")
    assert said == [
        "the scheme is not postgresql",
        "the host is no name and no address: sockets and patterns are not taken",
        "the password is not percent-encoded UTF-8 of signs that print (a '%' itself is %25)",
        "no user is given",
        "no database is given",
        "host is no option of it: there are sslmode and sslrootcert",
        "what stands after the '?' is no option of it: there are sslmode and sslrootcert",
        "sslmode is none of disable, allow, prefer, require, verify-ca, verify-full",
        "sslrootcert is no absolute path: give that of a PEM file, `system` is not taken",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("postgresql://u:p@h1,h2/d", "several hosts"),
        ("postgresql://u:p@h1:5432,h2:5432/d", "several hosts"),
        ("postgresql://u:p@h|i/d", "the host is no name"),
        ("postgresql://u:p@%2Fvar%2Frun/d", "the host is no name"),
        ("postgresql://u:p@h'/d", "the host is no name"),
        ("postgresql://u:p@/d", "no host is given"),
        ("postgresql://u:p@h:0/d", "the port is no number"),
        ("postgresql://u:p@h:65536/d", "the port is no number"),
        ("postgresql://u:p@h:/d", "the port is no number"),
        ("postgresql://u:p@h", "no database is given"),
        ("postgresql://h/d", "no user is given"),
        ("postgresql://u:%ff@h/d", "the password is not percent-encoded"),
        ("postgresql://u:a%0Ab@h/d", "the password is not percent-encoded"),
        ("postgresql://u:p@h/d?sslmode=require&sslmode=disable", "sslmode is given twice"),
        ("postgresql://u:p@h/d?sslmode=", "sslmode is given twice or without a value"),
        ("postgresql://u:p@h/d?sslmode=verify-full", "needs sslrootcert, the path of a PEM file"),
        ("postgresql://u:p@h/d?sslmode=prefer&sslrootcert=/etc/hostname", "verifies nothing by itself"),
        ("postgresql://u:p@h/d?sslmode=verify-ca&sslrootcert=system", "sslrootcert is no absolute path"),
        ("postgresql://u:p@h/d?sslmode=verify-ca&sslrootcert=/etc/hostname", "sslrootcert is no PEM file"),
        ("postgresql://u:p@h/d?sslmode=verify-ca&sslrootcert=/dev/zero", "sslrootcert is no PEM file"),
        ("postgresql://u:p@h/d?sslmode=verify-ca&sslrootcert=/etc", "sslrootcert cannot be read: Is a directory"),
        ("postgresql://u:p@h/d?sslmode=verify-ca&sslrootcert=/absent", "sslrootcert cannot be read: No such file"),
        ("postgresql://u:p@h/d#x", "it cannot be taken apart"),
        ("postgresql://u:p@ss@h/d", "it cannot be taken apart"),
        ("postgresql://u:hunter?hunter2=a&b@h/d", "in user or password is not percent-encoded"),
        ("postgresql://u:hunter/2@h/d", "in user or password is not percent-encoded"),
        ("postgresql://u:p@h/d\n", None),
        ("postgresql://u:p\n@h/d", "a line end or another sign that does not print"),
        ("host=h user=u password=hunter2", "it cannot be taken apart"),
        ("hunter2", "it cannot be taken apart"),
    ],
)
def test_an_address_that_would_mean_something_else_is_refused(text: str, words: str | None) -> None:
    if words is None:
        assert connection(text).parameters("")["database"] == "d"
        return
    said = problems(text)
    assert [one for one in said if words in one]
    assert "hunter" not in "".join(said)


@given(
    st.text(st.sampled_from("ß@:/?#[]&=%,|'\"\\ {}\n."), min_size=1, max_size=30),
    st.sampled_from(["postgresql://u:{}@h/d", "postgresql://{}@h/d", "{}", "postgresql://u:p@h/{}", "postgresql://u:p@{}/d",
                     "postgresql://u:p@h/d?{}", "postgresql://u:p@h/d?sslmode={}", "postgresql://u:p@h:{}/d"]),
)  # fmt: skip
def test_nothing_of_a_refused_address_is_in_what_is_said_of_it(part: str, form: str) -> None:
    said = ""
    try:
        connection(form.format(part))
    except SettingsError as error:
        said = str(error)
    assert "ß" not in said


# --- Secrets ----------------------------------------------------------------------------------------------


def test_the_password_is_in_no_text_of_a_connection_and_it_is_not_pickled() -> None:
    made = connection(f"postgresql://app:{quote(PASSWORD, safe='')}@h/d")
    for text in (repr(made), str(made), f"{made}", repr([made]), made.whom, made.function, *made.notes):
        assert "Hunter2" not in text
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="holds a password and is not pickled"):
            copied(made)


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["C", "Zl", "Zp"]), min_size=12, max_size=40))
def test_a_password_is_hidden_in_whatever_quoting_it_stands(password: str) -> None:
    if not password.isprintable():
        return
    text = f"postgresql://app:{quote(password, safe='')}@h/d"
    made = connection(text)
    backslashed = password.replace("\\", "\\\\")
    for form in (
        text, password, quote(password, safe=""), password.replace("'", "''"), backslashed,
        backslashed.replace("'", "\\'"), repr(password)[1:-1],
    ):  # fmt: skip
        assert made.hidden_in(f"a {form} b <{form}>") == "a [hidden] b <[hidden]>"


def test_a_short_password_is_hidden_as_a_word() -> None:
    made = connection("postgresql://u:postgres@h/d")
    assert made.hidden_in("password 'postgres' of postgresql") == "password '[hidden]' of postgresql"
