"""The statement that is named for a right that lacks is one that ClickHouse takes, and that helps the next run too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from dags.clickhouse.rights import ACCESS_DENIED, lacking, missing_grant

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def denied(lacks: str, user: str = "ada") -> DatabaseError:
    return DatabaseError(
        f"Received ClickHouse exception, code: 497, server response: Code: 497. DB::Exception: {user}: Not enough "
        f"privileges. To execute this query, it's necessary to have the grant {lacks} (ACCESS_DENIED) (version 26.7)",
        name=ACCESS_DENIED,
    )


@pytest.mark.parametrize(
    ("lacks", "statement"),
    [
        ("INSERT(team_id, is_enabled) ON web.teams.", "GRANT INSERT ON web.teams TO ada"),
        ("SELECT(x) ON web.`a-b`.", "GRANT SELECT ON web.`a-b` TO ada"),
        (
            "dictGet ON web.teams_dict: while executing 'FUNCTION dictHas('web.teams_dict' :: 1, a :: 2)'.",
            "GRANT dictGet ON web.teams_dict TO ada",
        ),
        (
            (
                "SELECT, DROP TABLE ON web.web_analytics_bid_20261125_x_run__8c_799c. (Missing permissions: DROP TABLE "
                "ON web.web_analytics_bid_20261125_x_run__8c_799c)."
            ),
            "GRANT SELECT, DROP TABLE ON web.* TO ada",
        ),
        ("INSERT ON web.web_pre_aggregated_staging_20261125_run_1__8c_799c_new1__x.", "GRANT INSERT ON web.* TO ada"),
        ("INSERT ON web.web_analytics_landing_1__000001_run_1__8c_799c.", "GRANT INSERT ON web.* TO ada"),
        ("INSERT, ALTER DELETE ON web.web_pre_aggregated_stats.", "GRANT INSERT, ALTER DELETE ON web.* TO ada"),
        ("CREATE TABLE ON web.x.", "GRANT CREATE TABLE ON web.* TO ada"),
        ("TABLE ENGINE ON Memory.", "GRANT TABLE ENGINE ON Memory TO ada"),
        ("SYSTEM RELOAD DICTIONARY ON *.*.", "GRANT SYSTEM RELOAD DICTIONARY ON *.* TO ada"),
    ],
)
def test_a_statement_is_whole_and_of_all_the_database_where_tables_come_and_go(
    client: Client, lacks: str, statement: str
) -> None:
    assert missing_grant(denied(lacks)) == statement
    client.query(f"EXPLAIN AST {statement}")  # it parses
    assert f"`{statement}` gives it" in str(lacking(denied(lacks)))


def test_a_name_that_is_no_plain_one_is_quoted() -> None:
    assert missing_grant(denied("INSERT ON web.teams.", "ada-2")) == "GRANT INSERT ON web.teams TO `ada-2`"


@pytest.mark.parametrize(
    ("lacks", "chapter"),
    [
        ("SYSTEM SYNC REPLICA ON web.teams.", "Replicas"),
        ("TABLE ENGINE ON KeeperMap.", "Replicas"),
        ("TABLE ENGINE ON ReplicatedMergeTree.", "Replicas"),
        ("TABLE ENGINE ON MergeTree.", "Server"),
    ],
)
def test_it_says_where_in_the_readme_the_right_stands(lacks: str, chapter: str) -> None:
    assert f"README, {chapter}, has all of them" in str(lacking(denied(lacks)))
