"""The file of the declaration: what it is not is said with the variable, the path and the next step, and not shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dags.domain.errors import SettingsError
from dags.settings import Settings, read_settings
from dags.sources.declaration import Sources
from dags.sources.file import MAX_BYTES, MAX_QUERY_BYTES, read_query, read_sources
from dags.tests.sources.test_declaration import EXAMPLE, SECRET

if TYPE_CHECKING:
    from pathlib import Path


def settings_of(path: Path) -> Settings:
    return read_settings({"WEB_ANALYTICS_SOURCES": str(path)})


def test_where_no_file_is_named_nothing_is_declared() -> None:
    assert read_sources(read_settings({})) == Sources()


def test_a_file_is_read_also_behind_a_link_with_the_queries_beside_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sources.yaml").write_text(EXAMPLE, encoding="utf-8")
    (tmp_path / "sources.yaml").symlink_to(tmp_path / "data" / "sources.yaml")
    (tmp_path / "late_orders.sql").write_text("SELECT 'é'", encoding="utf-8")
    settings = settings_of(tmp_path / "sources.yaml")
    assert [one.name for one in read_sources(settings).pipeline("tenant-import").tables] == [
        "public.page_views", "late_orders",
    ]  # fmt: skip
    assert read_query(settings, "late_orders") == "SELECT 'é'"


def test_what_is_no_such_file_is_refused_at_once_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(SECRET.encode() + b"\xff\xfe")
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(MAX_BYTES + 1)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "wrong").write_text(f"pipelines: [{SECRET}]\n{SECRET}: 1")
    (tmp_path / "broken").write_text(f"a: [{SECRET}")
    for name, words in {
        "binary": "which is no UTF-8 text: the README shows one",
        "directory": "which cannot be read: Is a directory. Let it name a file that this user may read",
        "pipe": "which is no regular file: let it be the declaration of sources",
        "large": "which is larger than 5,000,000 bytes: no declaration of sources is",
        "loop": "which cannot be read: Too many levels of symbolic links. Let it name a file that this user may read",
        "absent": "which cannot be read: No such file or directory. Let it name a file that this user may read",
        "wrong": "which cannot be used, nothing was touched:\npipelines.0: Input should be",
        "broken": "which cannot be used, nothing was touched:\nthe declaration of sources is no YAML: line 2 cannot",
    }.items():
        with pytest.raises(SettingsError) as refused:
            read_sources(settings_of(tmp_path / name))
        assert str(refused.value).startswith(f"WEB_ANALYTICS_SOURCES is '{tmp_path / name}', {words}")
        assert SECRET not in str(refused.value)


def test_a_query_that_is_not_there_or_no_such_file_is_refused_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "binary.sql").write_bytes(b"\xff")
    (tmp_path / "directory.sql").mkdir()
    (tmp_path / "large.sql").write_text(" " * (MAX_QUERY_BYTES + 1))
    settings = settings_of(tmp_path / "sources.yaml")
    for name, words in {
        "absent": "which cannot be read: No such file",
        "binary": "which is no UTF-8 text: give one SELECT, in UTF-8",
        "directory": "which cannot be read: Is a directory. Let it name",
        "large": "which is larger than 30,000 bytes: no declared query is",
    }.items():
        with pytest.raises(SettingsError) as refused:
            read_query(settings, name)
        assert f"whose declared query '{tmp_path / name}.sql', {words}" in str(refused.value)
    for name in ("../sources", "/etc/passwd", "", "a\0b"):
        with pytest.raises(SettingsError, match="is no declared query: let WEB_ANALYTICS_SOURCES name a file"):
            read_query(settings, name)
    with pytest.raises(SettingsError, match="is no declared query"):
        read_query(read_settings({}), "a")


@pytest.mark.parametrize("value", ["sources.yaml", "~/sources.yaml", "/a\nb", "/"])
def test_the_file_is_named_by_an_absolute_path(value: str) -> None:
    with pytest.raises(SettingsError, match=r"WEB_ANALYTICS_SOURCES is '.*': give the absolute path of the YAML file"):
        read_settings({"WEB_ANALYTICS_SOURCES": value})


def test_an_address_in_a_wrong_variable_is_not_shown() -> None:
    for name in ("WEB_ANALYTICS_SOURCES", "WEB_ANALYTICS_TOP_TEAMS_LIMIT", "WEB_ANALYTICS_BACKFILL_WEBHOOK_HOSTS"):
        with pytest.raises(SettingsError, match=f"^{name} is not usable: give ") as refused:
            read_settings({name: f"postgresql://u:{SECRET}@db/d"})
        assert SECRET not in str(refused.value)
