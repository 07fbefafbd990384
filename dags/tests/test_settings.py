"""Settings: the contract's defaults, every value out of range refused in clear words, and no password in any text."""

from __future__ import annotations

import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from dags.clickhouse.dsn import EXPECTED, Dsn
from dags.domain.errors import SettingsError
from dags.settings import Settings, read_settings, variable

SECRET = "hunter2"


def problem_with(**environment: str) -> str:
    """What is said of an environment, which must not be accepted."""
    with pytest.raises(SettingsError) as refused:
        read_settings(environment)
    return str(refused.value)


# --- The contract -----------------------------------------------------------------------------------------

# Name, default, lowest and highest value that is accepted, and the unit. Names and defaults down to the `top_teams`
# ones are what users were promised.
NUMBERS = [
    ("WEB_ANALYTICS_BACKFILL_MAX_RANGE_DAYS", 30, 1, 3650, "days"),
    ("WEB_ANALYTICS_BACKFILL_BACKUP_DAYS", 7, 1, 3650, "days"),
    ("WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS", 30, 1, 3650, "days"),
    ("WEB_ANALYTICS_BACKFILL_MAX_PARTITIONS_PER_RUN", 7, 1, 366, "days"),
    ("WEB_ANALYTICS_BACKFILL_MIN_MISSING_PARTITIONS", 3, 1, 10_000, "partitions"),
    ("WEB_ANALYTICS_BACKFILL_MAX_DAYS_PER_DAY", 28, 1, 3650, "days"),
    ("WEB_ANALYTICS_BACKFILL_SETTLE_HOURS", 1, 0, 72, "hours"),
    ("WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS", None, 1, 87_600, "hours"),
    ("WEB_ANALYTICS_BACKFILL_MIN_VOLUME", 0, 0, 10**12, "page views"),
    ("WEB_ANALYTICS_REPAIR_TARGET_HOURS", 48, 1, 8760, "hours"),
    ("WEB_ANALYTICS_FRESHNESS_TARGET_HOURS", 36, 1, 8760, "hours"),
    ("WEB_ANALYTICS_ALERT_REMINDER_HOURS", 24, 0, 8760, "hours"),
    ("WEB_ANALYTICS_TOP_TEAMS_LIMIT", 30, 1, 100_000, "teams"),
    ("WEB_ANALYTICS_TOP_TEAMS_DAYS", 30, 1, 3650, "days"),
    ("WEB_ANALYTICS_RUN_RETENTION_DAYS", 400, 30, 36_500, "days"),
    ("WEB_ANALYTICS_HISTORY_RETENTION_DAYS", 400, 30, 36_500, "days"),
    ("WEB_ANALYTICS_ENGINE_WAIT_SECONDS", 600, 1, 86_400, "seconds"),
    ("WEB_ANALYTICS_BUILD_BATCH_EVENTS", 2_000_000, 10_000, 1_000_000_000, "events"),
    ("WEB_ANALYTICS_BUILD_MAX_MEMORY_BYTES", 8_000_000_000, 100_000_000, 10_000_000_000_000, "bytes"),
    ("WEB_ANALYTICS_BUILD_MAX_THREADS", None, 1, 1024, "threads"),
    ("WEB_ANALYTICS_BUILD_MAX_SECONDS", 1800, 1, 21_600, "seconds"),
    ("WEB_ANALYTICS_BUILD_MAX_ROWS_READ", None, 1, 10**15, "rows"),
    ("WEB_ANALYTICS_BUILD_MAX_BYTES_READ", None, 1, 10**18, "bytes"),
]
FIELD_BY_VARIABLE = {variable(field): field for field in Settings.model_fields}


def value_of(settings: Settings, name: str) -> object:
    return getattr(settings, FIELD_BY_VARIABLE[name])


def test_the_defaults_are_those_of_the_contract() -> None:
    project = Path(__file__).resolve().parent.parent.parent
    found = read_settings({})
    assert {name: value_of(found, name) for name in FIELD_BY_VARIABLE} == {
        "CLICKHOUSE_DSN": Dsn("chdb", "web_analytics", path=str(project / ".clickhouse")),
        "WEB_ANALYTICS_BACKFILL_PLANS_DIRECTORY": project / ".plans",
        "WEB_ANALYTICS_BACKFILL_PRIORITY": "recent",
        "WEB_ANALYTICS_BACKFILL_REBUILD_OUTDATED": 0,
        "WEB_ANALYTICS_BACKFILL_STOPPED": 0,
        "WEB_ANALYTICS_BACKFILL_USD_PER_GB": 0.25,
        "WEB_ANALYTICS_BACKFILL_WEBHOOK_HOSTS": (),
        "WEB_ANALYTICS_BACKFILL_WEBHOOK_TOKEN": None,
        "WEB_ANALYTICS_ALERT_URLS": (),
        "WEB_ANALYTICS_HEARTBEAT_URL": None,
        "WEB_ANALYTICS_TEAM_WEIGHTS": (),
        "WEB_ANALYTICS_TEAM_SOURCES": ("environment", "table"),
        "WEB_ANALYTICS_ENABLED_TEAM_IDS": (),
        "WEB_ANALYTICS_METRICS_FILE": None,
        "WEB_ANALYTICS_SOURCES": None,
        "WEB_ANALYTICS_OWNERS": (),
        "WEB_ANALYTICS_SECRETS_DIRECTORY": None,
        **{name: default for name, default, *_ in NUMBERS},
    }
    assert (found.settle, found.max_gap_age) == (timedelta(hours=1), None)


def test_every_setting_is_read_from_its_variable() -> None:
    given = {
        "CLICKHOUSE_DSN": "clickhouse://somebody@db.example:9123/analytics",
        "WEB_ANALYTICS_BACKFILL_PLANS_DIRECTORY": "/srv/plans",
        "WEB_ANALYTICS_BACKFILL_PRIORITY": "interior",
        "WEB_ANALYTICS_BACKFILL_REBUILD_OUTDATED": "1",
        "WEB_ANALYTICS_BACKFILL_STOPPED": "1",
        "WEB_ANALYTICS_BACKFILL_USD_PER_GB": "0.05",
        "WEB_ANALYTICS_BACKFILL_WEBHOOK_HOSTS": "hooks.example.com, Other.example.com:8443",
        "WEB_ANALYTICS_BACKFILL_WEBHOOK_TOKEN": "sesame",
        "WEB_ANALYTICS_ALERT_URLS": "json://a.example/x \n mailtos://u:p@b.example?to=c@d.example,e@f.example",
        "WEB_ANALYTICS_HEARTBEAT_URL": "https://hc.example/ping/1",
        "WEB_ANALYTICS_TEAM_WEIGHTS": " 9:5, 7:10 ,8:0",
        "WEB_ANALYTICS_TEAM_SOURCES": " top_pageviews , environment ",
        "WEB_ANALYTICS_ENABLED_TEAM_IDS": "10, 2,2 ,18446744073709551615,",
        "WEB_ANALYTICS_METRICS_FILE": "/var/lib/node_exporter/backfill.prom",
        "WEB_ANALYTICS_SOURCES": "/etc/analytics/sources.yaml",
        "WEB_ANALYTICS_OWNERS": "team:data-platform, ada@example.com,team:data-platform",
        "WEB_ANALYTICS_SECRETS_DIRECTORY": "/",
        **{name: str(highest) for name, _, _, highest, _ in NUMBERS},
    }
    found = read_settings(given)
    assert {name: value_of(found, name) for name in FIELD_BY_VARIABLE} == {
        "CLICKHOUSE_DSN": Dsn("clickhouse", "analytics", host="db.example", port=9123, user="somebody"),
        "WEB_ANALYTICS_BACKFILL_PLANS_DIRECTORY": Path("/srv/plans"),
        "WEB_ANALYTICS_BACKFILL_PRIORITY": "interior",
        "WEB_ANALYTICS_BACKFILL_REBUILD_OUTDATED": 1,
        "WEB_ANALYTICS_BACKFILL_STOPPED": 1,
        "WEB_ANALYTICS_BACKFILL_USD_PER_GB": 0.05,
        "WEB_ANALYTICS_BACKFILL_WEBHOOK_HOSTS": ("hooks.example.com", "other.example.com:8443"),
        "WEB_ANALYTICS_BACKFILL_WEBHOOK_TOKEN": SecretStr("sesame"),
        "WEB_ANALYTICS_ALERT_URLS": (
            SecretStr("json://a.example/x"),
            SecretStr("mailtos://u:p@b.example?to=c@d.example,e@f.example"),
        ),
        "WEB_ANALYTICS_HEARTBEAT_URL": SecretStr("https://hc.example/ping/1"),
        "WEB_ANALYTICS_TEAM_WEIGHTS": ((7, 10), (8, 0), (9, 5)),
        "WEB_ANALYTICS_TEAM_SOURCES": ("top_pageviews", "environment"),
        "WEB_ANALYTICS_ENABLED_TEAM_IDS": (2, 10, 2**64 - 1),
        "WEB_ANALYTICS_METRICS_FILE": Path("/var/lib/node_exporter/backfill.prom"),
        "WEB_ANALYTICS_SOURCES": Path("/etc/analytics/sources.yaml"),
        "WEB_ANALYTICS_OWNERS": ("team:data-platform", "ada@example.com"),
        "WEB_ANALYTICS_SECRETS_DIRECTORY": Path("/"),
        **{name: highest for name, _, _, highest, _ in NUMBERS},
    }
    assert (found.settle, found.max_gap_age) == (timedelta(hours=72), timedelta(hours=87_600))
    assert "sesame" not in repr(found)


def test_names_of_others_are_left_alone() -> None:
    assert read_settings({"WEB_ANALYTICS_SOMEBODY_ELSES": "x", "PATH": "/bin"}) == read_settings({})


def test_settings_do_not_change() -> None:
    found = read_settings({})
    with pytest.raises(ValidationError, match="frozen"):
        found.backfill_lookback_days = 1


@pytest.mark.parametrize("empty", ["", "  ", "\t"])
def test_an_empty_variable_counts_as_unset(empty: str) -> None:
    misspelt_and_empty = {"WEB_ANALYTICS_BACKFILL_LOOKBACK": empty}
    assert read_settings(dict.fromkeys(FIELD_BY_VARIABLE, empty) | misspelt_and_empty) == read_settings({})


# --- Out of range -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "default", "lowest", "highest", "unit"), NUMBERS, ids=[n[0] for n in NUMBERS])
def test_a_number_is_accepted_up_to_both_ends_and_refused_beyond_and_when_it_is_none(
    name: str, default: int | None, lowest: int, highest: int, unit: str
) -> None:
    assert default is None or lowest <= default <= highest
    # What is kept is compared with how far others look back, see below.
    beside = {look_back: "1" for look_back in LOOK_BACKS if name in RETENTIONS}
    for accepted in (lowest, highest):
        assert value_of(read_settings({**beside, name: str(accepted)}), name) == accepted
    for refused in (str(lowest - 1), str(highest + 1), "-7", "many", "1.5", "1e1", "0x10", "7 days", "nan"):
        expected = f"{name} is {refused!r}: give a whole number of {unit} from {lowest} to {highest:,}"
        assert problem_with(**{name: refused}) == expected


LOOK_BACKS = ("WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS", "WEB_ANALYTICS_BACKFILL_BACKUP_DAYS")
RETENTIONS = {
    "WEB_ANALYTICS_RUN_RETENTION_DAYS": "run_retention",
    "WEB_ANALYTICS_HISTORY_RETENTION_DAYS": "history_retention",
}


@pytest.mark.parametrize("name", RETENTIONS)
@pytest.mark.parametrize("look_back", LOOK_BACKS)
def test_what_happened_is_kept_for_longer_than_anybody_looks_back(name: str, look_back: str) -> None:
    expected = f"{name} is 90: give more than 90, the larger of {LOOK_BACKS[0]} and {LOOK_BACKS[1]}"
    assert problem_with(**{name: "90", look_back: "90"}) == expected
    for given, days in (("91", 91), ("", 400)):
        found = read_settings({name: given, look_back: "90"})
        assert getattr(found, RETENTIONS[name]) == timedelta(days=days)
    # Who raises the look-back alone is not refused: the default goes up with it.
    assert getattr(read_settings({look_back: "3000"}), RETENTIONS[name]) == timedelta(days=3001)


BAD_IDS = [
    "0",
    "-1",
    "1.5",
    "one",
    "1;2",
    "1 2",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "18446744073709551616",
    "1,0",
    "1,two,3",
    "9" * 5000,
]


@pytest.mark.parametrize("refused", BAD_IDS, ids=lambda text: text[:20])
def test_a_team_id_that_is_no_number_above_0_is_refused(refused: str) -> None:
    output = problem_with(WEB_ANALYTICS_ENABLED_TEAM_IDS=refused)
    expected = "give team ids, whole numbers above 0, separated by commas"
    assert output == f"WEB_ANALYTICS_ENABLED_TEAM_IDS is {refused!r}: {expected}"


@pytest.mark.parametrize("refused", ["ada", "team:", "team: data", "ada@example", "ada@example.com;bob@example.com"])
def test_an_owner_whom_dagster_would_refuse_is_refused(refused: str) -> None:
    expected = "give e-mail addresses or team:name, separated by commas"
    assert problem_with(WEB_ANALYTICS_OWNERS=refused) == f"WEB_ANALYTICS_OWNERS is {refused!r}: {expected}"


@pytest.mark.parametrize("refused", ["7", "7:", ":7", "7:-1", "0:7", "a:1", "7:1.5", "7:1:2", "7:1;8:2", "9" * 5000])
def test_a_weight_that_is_no_pair_of_numbers_is_refused(refused: str) -> None:
    output = problem_with(WEB_ANALYTICS_TEAM_WEIGHTS=refused)
    expected = "give team:weight pairs of whole numbers, separated by commas; a weight may be 0"
    assert output == f"WEB_ANALYTICS_TEAM_WEIGHTS is {refused!r}: {expected}"


@pytest.mark.parametrize(
    ("name", "refused", "expected"),
    [
        ("WEB_ANALYTICS_BACKFILL_PRIORITY", "Recent", "give one of recent, volume, interior"),
        ("WEB_ANALYTICS_BACKFILL_REBUILD_OUTDATED", "2", "give 0 (no) or 1 (yes)"),
        ("WEB_ANALYTICS_BACKFILL_STOPPED", "yes", "give 0 (no) or 1 (yes)"),
        ("WEB_ANALYTICS_BACKFILL_REBUILD_OUTDATED", "yes", "give 0 (no) or 1 (yes)"),
    ],
)
def test_a_choice_that_is_not_offered_is_refused(name: str, refused: str, expected: str) -> None:
    assert problem_with(**{name: refused}) == f"{name} is {refused!r}: {expected}"


@pytest.mark.parametrize("refused", ["postgres", "table,postgres", "table,table", ",", "Table", "environment table"])
def test_a_team_source_that_is_unknown_or_named_twice_is_refused(refused: str) -> None:
    output = problem_with(WEB_ANALYTICS_TEAM_SOURCES=refused)
    expected = "give one or more of environment, table, top_pageviews, separated by commas, each once"
    assert output == f"WEB_ANALYTICS_TEAM_SOURCES is {refused!r}: {expected}"


MISSPELT = {
    "WEB_ANALYTICS_BACKFILL_LOOKBACK_DAY": "did you mean WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS?",
    "WEB_ANALYTICS_BACKFILL_MAX_PARTITION_PER_RUN": "did you mean WEB_ANALYTICS_BACKFILL_MAX_PARTITIONS_PER_RUN?",
    "WEB_ANALYTICS_BUILD_MAX_ROW_READ": "did you mean WEB_ANALYTICS_BUILD_MAX_ROWS_READ?",
    "WEBANALYTICS_BACKFILL_LOOKBACK_DAYS": "did you mean WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS?",
    "CLICKHOUSE_DNS": "did you mean CLICKHOUSE_DSN?",
    "WEB_ANALYTICS_ENABLED_TEAMS_IDS": "did you mean WEB_ANALYTICS_ENABLED_TEAM_IDS?",
}


@pytest.mark.parametrize(("name", "hint"), MISSPELT.items())
def test_a_misspelt_name_under_our_prefix_is_refused_with_what_was_meant(name: str, hint: str) -> None:
    assert problem_with(**{name: "5"}) == f"{name} is no setting: {hint}"


def test_another_programs_name_that_begins_alike_is_let_be() -> None:
    others = {"WEB_ANALYTICS_TEST_TICKS": "5", "WEB_ANALYTICS_TEAM_OWNER": "x", "CLICKHOUSE_DB": "y"}
    assert read_settings(others) == read_settings({})


def test_a_name_like_no_setting_is_sent_to_the_readme() -> None:
    name = "WEB_ANALYTICS_BACKFILL_" + "Q" * 60
    assert problem_with(**{name: "1"}) == f"{name} is no setting: the README lists the settings"


def test_every_bad_value_is_named_at_once_one_a_line() -> None:
    everything = {
        "CLICKHOUSE_DSN": f"http://u:{SECRET}@h/d",
        "WEB_ANALYTICS_TEAM_SOURCES": "nowhere",
        "WEB_ANALYTICS_ENABLED_TEAM_IDS": "me",
        "WEB_ANALYTICS_BACKFILL_MIN_MISSING": "3",
        **{name: "-1" for name, *_ in NUMBERS},
    }
    lines = problem_with(**everything).splitlines()
    assert sorted(line.split()[0].rstrip(":") for line in lines) == sorted(everything)


# --- Secret files -----------------------------------------------------------------------------------------


def secrets(directory: Path, **files: str) -> dict[str, str]:
    """An environment that names a directory of secret files."""
    for name, text in files.items():
        (directory / name).write_text(text)
    return {"WEB_ANALYTICS_SECRETS_DIRECTORY": str(directory)}


def test_a_secret_may_come_from_a_file_that_is_named_after_its_variable(tmp_path: Path) -> None:
    dsn = f"clickhouse://me:{SECRET}@db.example/a"
    given = secrets(tmp_path, clickhouse_dsn=f"{dsn}\n", WEB_ANALYTICS_BACKFILL_WEBHOOK_TOKEN="sesame", tls_key="x")
    found = read_settings({**given, "CLICKHOUSE_DSN": " "})
    assert found.clickhouse_dsn == Dsn.parse(dsn)
    assert found.backfill_webhook_token == SecretStr("sesame")
    assert SECRET not in f"{found} {found.model_dump_json()}"
    assert "sesame" not in f"{found} {found.model_dump_json()}"


def test_what_is_in_both_is_the_environments(tmp_path: Path) -> None:
    given = secrets(tmp_path, clickhouse_dsn="clickhouse://file/a", web_analytics_backfill_stopped="1")
    found = read_settings({**given, "CLICKHOUSE_DSN": "clickhouse://environment/a"})
    assert (found.clickhouse_dsn.host, found.backfill_stopped) == ("environment", 1)


def test_a_bad_secret_is_named_and_not_shown(tmp_path: Path) -> None:
    given = secrets(
        tmp_path, clickhouse_dsn=f"http://u:{SECRET}@h/d", web_analytics_backfill_webhook_token="",
        web_analytics_backfill_lookback="3",
    )  # fmt: skip
    output = problem_with(**given)
    assert [line.split(":")[0] for line in output.splitlines()] == [
        "WEB_ANALYTICS_BACKFILL_LOOKBACK is no setting",
        "CLICKHOUSE_DSN",
        "WEB_ANALYTICS_BACKFILL_WEBHOOK_TOKEN is not usable",
    ]
    assert SECRET not in output


def test_of_several_urls_the_bad_ones_are_named_by_their_place_and_not_shown() -> None:
    name, expected = (
        "WEB_ANALYTICS_ALERT_URLS",
        "give up to 10 URLs as apprise has them, separated by blanks or line ends",
    )
    output = problem_with(WEB_ANALYTICS_ALERT_URLS=f"json://fine {SECRET} slack://x\n://{SECRET}")
    assert output == f"{name} is not usable, number 2, 4: {expected}"
    assert problem_with(WEB_ANALYTICS_ALERT_URLS="json://fine " * 11) == f"{name} is not usable, 11 URLs: {expected}"
    name, expected = "WEB_ANALYTICS_HEARTBEAT_URL", "give the URL that is to be called, http:// or https://"
    assert problem_with(WEB_ANALYTICS_HEARTBEAT_URL=f"ftp://{SECRET}") == f"{name} is not usable: {expected}"


def test_secrets_that_cannot_be_read_are_refused_and_no_default_takes_their_place(tmp_path: Path) -> None:
    directory, outside = tmp_path / "secrets", tmp_path / "elsewhere"
    named = f"WEB_ANALYTICS_SECRETS_DIRECTORY is '{directory}', which cannot be read: "
    given = {"WEB_ANALYTICS_SECRETS_DIRECTORY": str(directory)}
    assert problem_with(**given).startswith(named)
    directory.write_text("a file")
    assert problem_with(**given).startswith(named)
    directory.unlink()
    directory.mkdir()
    outside.write_text("clickhouse://db.example/a")
    (directory / "clickhouse_dsn").symlink_to(outside)
    assert problem_with(**given).startswith(named)
    (directory / "clickhouse_dsn").unlink()
    (directory / "clickhouse_dsn").mkdir()
    assert problem_with(**given).startswith(named)
    (directory / "clickhouse_dsn").rmdir()
    (directory / "clickhouse_dsn").write_bytes(b"\xff")
    assert problem_with(**given).startswith(named)
    relative = problem_with(WEB_ANALYTICS_SECRETS_DIRECTORY="secrets")
    assert relative == "WEB_ANALYTICS_SECRETS_DIRECTORY is 'secrets': give the absolute path of a directory"


def test_mounted_secrets_are_links_within_their_directory(tmp_path: Path) -> None:
    # As Kubernetes lays them out.
    (tmp_path / "..2026_01_02").mkdir()
    (tmp_path / "..2026_01_02" / "clickhouse_dsn").write_text("clickhouse://db.example/a")
    (tmp_path / "..data").symlink_to("..2026_01_02")
    (tmp_path / "clickhouse_dsn").symlink_to("..data/clickhouse_dsn")
    assert read_settings(secrets(tmp_path)).clickhouse_dsn.host == "db.example"


# --- DSN --------------------------------------------------------------------------------------------------

DSNS = {
    "embedded": ("chdb:///data/clickhouse", Dsn("chdb", "web_analytics", path="/data/clickhouse")),
    "embedded, another database": ("chdb:///data?database=mine", Dsn("chdb", "mine", path="/data")),
    "embedded, a path with a blank": ("chdb:///my%20data", Dsn("chdb", "web_analytics", path="/my data")),
    "a server": (
        "clickhouse://me:pw@db.example:9000/a_1",
        Dsn("clickhouse", "a_1", host="db.example", port=9000, user="me", password="pw"),
    ),
    "a server, its HTTP port and user by default": (
        "clickhouse://db.example/a",
        Dsn("clickhouse", "a", host="db.example", port=8123, user="default"),
    ),
    "a server with TLS, its port by default": (
        "clickhouses://me@db.example/a",
        Dsn("clickhouses", "a", host="db.example", port=8443, user="me"),
    ),
    "a password of signs, encoded": (
        "clickhouse://m%40e:a%2Fb%3Ac%40d%25@db.example/a",
        Dsn("clickhouse", "a", host="db.example", port=8123, user="m@e", password="a/b:c@d%"),
    ),
    "an address of version 6": (
        "clickhouse://[::1]:8124/a",
        Dsn("clickhouse", "a", host="::1", port=8124, user="default"),
    ),
    "blanks around it": (" chdb:///data \n", Dsn("chdb", "web_analytics", path="/data")),
}


@pytest.mark.parametrize(("text", "expected"), DSNS.values(), ids=DSNS.keys())
def test_a_dsn_is_read(text: str, expected: Dsn) -> None:
    assert Dsn.parse(text) == expected


# The password of each holds SECRET, also where it breaks the text: a `/` or `[` that nobody encoded.
BAD_DSNS = {
    "no scheme": (f"me:{SECRET}@db.example/a", "the scheme is none of those"),
    "another scheme": (f"postgres://me:{SECRET}@db.example/a", "the scheme is none of those"),
    "nothing but a word": ("embedded", "the scheme is none of those"),
    "no host": (f"clickhouse://me:{SECRET}@/a", "no host is given"),
    "no database": (f"clickhouse://me:{SECRET}@db.example", "the database is missing"),
    "no database after the slash": (
        f"clickhouse://me:{SECRET}@db.example/",
        "the database is missing",
    ),
    "a database that is no name": (
        f"clickhouse://me:{SECRET}@db.example/a-b",
        "the database is missing",
    ),
    "a port that is no number": (f"clickhouse://me:{SECRET}@db.example:http/a", "the port is not a number"),
    "a port beyond the last": (f"clickhouse://me:{SECRET}@db.example:65536/a", "the port is not a number"),
    "a relative directory": ("chdb://data", "an absolute directory"),
    "no directory": ("chdb:///", "an absolute directory"),
    "an embedded database that is no name": ("chdb:///data?database=a-b", "the database is missing"),
    "a password for the embedded engine": (f"chdb://me:{SECRET}@/data", "an absolute directory"),
    "a slash in the password": (f"clickhouse://me:x/{SECRET}@db.example/a", ""),
    "a slash after digits in the password": (f"clickhouse://me:12/{SECRET}@db.example/a", ""),
    "a number sign in the password": (f"clickhouse://me:12#{SECRET}@db.example/a", ""),
    "a question mark in the password": (f"clickhouse://me:12?{SECRET}@db.example/a", ""),
    "a bracket in the password": (f"clickhouse://me:[{SECRET}@db.example/a", ""),
    "a percent sign in the password": (f"clickhouse://me:{SECRET}%zz@db.example/a", "the password is not percent-enc"),
    "a password that is no text": (f"clickhouse://me:{SECRET}%FF@db.example/a", "the password is not percent-encoded"),
    "a line end in the password": (f"clickhouse://me:{SECRET}\nx@db.example/a", "a line end"),
    "TLS asked for by an option": (
        f"clickhouse://me:{SECRET}@db.example/a?secure=true",
        "secure is no option of it: its only option is cluster. TLS is the scheme clickhouses://",
    ),
    "an option with a secret": (f"clickhouse://me@db.example/a?password={SECRET}", "password is no option of it"),
    "a secret for an option": (f"clickhouse://me@db.example/a?{SECRET}", "what stands after the '?' is no option"),
    "a fragment": (f"clickhouse://me:{SECRET}@db.example/a#b", "something stands after a '#'"),
    "port 0": (f"clickhouse://me:{SECRET}@db.example:0/a", "the port is not a number"),
    "two hosts and no cluster": (
        f"clickhouse://me:{SECRET}@one.example,two.example/a",
        "2 hosts are named and no cluster",
    ),
    "a cluster and one host": (
        f"clickhouse://me:{SECRET}@one.example/a?cluster=c",
        "a cluster is named and one host",
    ),
    "a host twice": (f"clickhouse://me:{SECRET}@one.example,one.example:8123/a?cluster=c", "a host is named twice"),
    "a cluster that is no name": (f"clickhouse://me:{SECRET}@a,b/a?cluster=c%27", "the cluster is no name"),
    "an encoded host": (f"clickhouse://me:{SECRET}@db%2Eexample/a", "the host is no name and no address"),
    "two databases": (f"clickhouse://me:{SECRET}@db.example/a/b", "the database is missing"),
    "an empty database before another": (
        f"clickhouse://me:{SECRET}@db.example//b",
        "the database is missing",
    ),
    "an unknown option for the embedded engine": ("chdb:///data?path=/x", "path is no option of it: its only option"),
    "a database twice": ("chdb:///data?database=a&database=b", "database is given twice or without a value"),
    "a database without a name": ("chdb:///data?database=", "database is given twice or without a value"),
    "a fragment for the embedded engine": ("chdb:///data#b", "something stands after a '#'"),
    "a directory without a slash": ("chdb:data", "an absolute directory"),
    "a NUL in the directory": ("chdb:///data%00", "the directory is not percent-encoded"),
    "a sign in the password that reads as three others": (f"clickhouse://me:℀{SECRET}@db.example/a", ""),
}


@pytest.mark.parametrize(("text", "words"), BAD_DSNS.values(), ids=BAD_DSNS.keys())
def test_what_is_no_dsn_is_refused_in_clear_words_without_the_password(text: str, words: str) -> None:
    output = problem_with(CLICKHOUSE_DSN=text)
    assert output.startswith("CLICKHOUSE_DSN: ")
    assert words in output
    assert output.endswith(EXPECTED)
    assert SECRET not in output


@pytest.mark.parametrize(("text", "words"), BAD_DSNS.values(), ids=BAD_DSNS.keys())
def test_a_refused_dsn_shows_no_password_in_what_a_terminal_prints(text: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Dsn.parse(text)
    assert words in str(refused.value)
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_a_password_is_in_no_text_of_dsn_or_settings() -> None:
    text = f"clickhouse://me:{SECRET}@db.example/a"
    dsn, settings = Dsn.parse(text), read_settings({"CLICKHOUSE_DSN": text})
    assert dsn.password == settings.clickhouse_dsn.password == SECRET
    texts = [f(thing) for thing in (dsn, settings, settings.clickhouse_dsn) for f in (repr, str, "{}".format)]
    assert [shown for shown in texts if SECRET in shown] == []
    assert [shown for shown in texts if "db.example" not in shown] == []


def test_dumped_settings_hold_no_password() -> None:
    settings = read_settings({"CLICKHOUSE_DSN": f"clickhouse://me:{SECRET}@db.example/a"})
    assert SECRET not in str(settings.model_dump())
    assert SECRET not in settings.model_dump_json()


def test_a_bad_value_beside_a_good_dsn_does_not_show_its_password() -> None:
    output = problem_with(
        CLICKHOUSE_DSN=f"clickhouse://me:{SECRET}@db.example/a", WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS="0"
    )
    assert output == "WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS is '0': give a whole number of days from 1 to 3,650"


def test_a_dsn_says_where_it_leads() -> None:
    assert str(Dsn.parse("chdb:///data")) == "chdb:///data (database web_analytics)"
    assert str(Dsn.parse(f"clickhouses://me:{SECRET}@db.example/a")) == "clickhouses://me@db.example:8443/a"
