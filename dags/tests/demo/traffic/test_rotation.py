"""What rotation puts to the name of a log is not taken for another site."""

from pathlib import Path, PurePosixPath

import pytest

from dags.demo.traffic.rotation import log_name, logs_of

ROTATED = """
    access.log access.log.1 access.log.2.gz access.log.14.bz2 access.log.3.zst access.log.0 access.log-1 access.log.old
    access.1.log access.1.log.gz access.log-20260101 access.log-20260101.gz access.log-20260101.1.gz
    access.log-2026-01-01 access.log.2026-01-01.xz access.log-2026010112 access.log.2026-01-01-12.gz
    access.log.20260101T120000.gz access.log-1735689600 access.log-2026-01-01-1735689600.gz access.log-Jan-2026.gz
    access.log.01Jan2026 access-2026-01-01.log access-20260101.log.gz access_20260101.log access.2026-01-01.log
    access.2026-01.log 2026-01-01/access.log 2026/01/01/access.log 2026/01/access.log.gz 202601/access.log
"""

SITES = """
    access.log access_log error.log site-1.log site-2.log site2.log shop2026.log access-10.0.0.1.log
    access-10.0.0.2.log v1.2.example.log v1.3.example.log other_vhosts_access.log example.com-access.log
    example.com-ssl_log localhost_access_log.txt one/access.log two/access.log 2026/shop/access.log march.log
"""


@pytest.mark.parametrize("name", ROTATED.split())
def test_a_rotated_file_is_of_the_log_whose_name_it_has_apart_from_that(name: str) -> None:
    assert log_name(PurePosixPath("/var/log", name)) == "/var/log/access.log"


def test_names_that_differ_in_anything_else_are_logs_of_their_own() -> None:
    paths = [Path("/var/log", name) for name in SITES.split()]
    rotated = [path.with_name(f"{path.name}{more}") for path in paths for more in ("", ".1", "-20260101.gz")]
    assert [len(files) for files in logs_of(rotated).values()] == [3] * len(paths)


def test_files_whose_names_are_dates_alone_are_one_log() -> None:
    names = ["2026-01-01.log", "2026-01-02.log", "20260103.log.gz"]
    assert logs_of(Path("/logs", name) for name in names) == {"/logs/.log": [Path("/logs", name) for name in names]}
