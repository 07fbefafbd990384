"""What a declaration names is in the environment or in a file of secrets; of what is in neither nothing is told."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dags.domain.errors import SettingsError
from dags.settings import read_settings
from dags.sources.variables import MAX_BYTES, Variables

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "Hx7hunter"


def variables(directory: Path, **environment: str) -> Variables:
    return Variables(read_settings({"WEB_ANALYTICS_SECRETS_DIRECTORY": str(directory)}), environment)


def test_a_file_has_a_variables_name_in_capitals_or_not_and_the_environment_comes_first(tmp_path: Path) -> None:
    (tmp_path / "tenant_dsn").write_text("of a file\n")
    (tmp_path / "S3_KEY").write_text("key")
    (tmp_path / "both").write_text("of a file")
    (tmp_path / "no_text").write_bytes(b"\xff")  # somebody else's, and not asked for
    known = variables(tmp_path, BOTH="of the environment", TENANT_DSN=" ")
    assert [known.get(name) for name in ("TENANT_DSN", "S3_KEY", "BOTH", "ABSENT")] == [
        "of a file", "key", "of the environment", None,
    ]  # fmt: skip
    assert {*known} == {"TENANT_DSN", "S3_KEY", "BOTH", "NO_TEXT"}
    assert len(known) == 4


def test_without_a_directory_there_is_the_environment_alone() -> None:
    assert dict(Variables(read_settings({}), {"A": "1"})) == {"A": "1"}


def test_files_as_kubernetes_mounts_them_are_read(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "tenant_dsn").write_text(SECRET)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "tenant_dsn").symlink_to("..data/tenant_dsn")
    assert variables(tmp_path)["TENANT_DSN"] == SECRET


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff" + SECRET.encode(), "is no UTF-8 text"), (SECRET.encode() * MAX_BYTES, "is larger than 65,536 bytes")],
    ids=["no text", "too long"],
)
def test_a_file_that_is_no_value_is_named_and_nothing_of_it_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "tenant_dsn").write_bytes(content)
    with pytest.raises(
        SettingsError, match=rf"^TENANT_DSN is to be read from {tmp_path}/tenant_dsn, which {words}"
    ) as no:
        variables(tmp_path)["TENANT_DSN"]
    assert SECRET not in str(no.value)


def test_a_file_that_leads_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(SECRET)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "tenant_dsn").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="leads out of"):
        variables(tmp_path / "secrets")["TENANT_DSN"]


def test_a_directory_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    known = variables(tmp_path / "secrets")
    (tmp_path / "secrets").rmdir()
    with pytest.raises(SettingsError, match="secrets', which cannot be read: No such file"):
        known.get("TENANT_DSN")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read whatever there is")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "tenant_dsn").write_text(SECRET)
    (tmp_path / "tenant_dsn").chmod(0)
    with pytest.raises(SettingsError, match="cannot be read: Permission denied"):
        variables(tmp_path)["TENANT_DSN"]
