"""Plans by name in one directory: nothing else is read, nothing is written over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dags.domain.errors import SettingsError, UserError
from dags.settings import read_settings
from dags.work.document import MAX_BYTES
from dags.work.plan_files import read_plan, save_plan

if TYPE_CHECKING:
    from pathlib import Path

NO_NAMES = ("", ".", "..", "../plan.yaml", "/etc/passwd", "a/b", "a\\b", "a\0b", "a\nb", ".hidden", "ä", "a" * 101, "~")


def test_a_plan_is_read_by_the_name_under_which_it_was_saved_with_or_without_its_ending(tmp_path: Path) -> None:
    directory = tmp_path / "not" / "yet"
    assert save_plan(directory, "reload", "name: é\n") == directory / "reload.yaml"
    assert read_plan(directory, "reload") == read_plan(directory, "reload.yaml") == "name: é\n"
    assert (directory / "reload.yaml").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "plan.yaml").write_text("secret")
    for field, act in (("plan_file", read_plan), ("save_plan_to", lambda at, one: save_plan(at, one, ""))):
        with pytest.raises(UserError) as refused:
            act(tmp_path / "plans", name)
        assert str(refused.value).startswith(f"{field} is {name[:100]!r}: give a name of letters, digits,")
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]


def test_nothing_that_is_there_is_written_over_be_it_a_file_a_link_or_a_directory(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    directory = tmp_path / "plans"
    directory.mkdir()
    (directory / "file.yaml").write_text("mine")
    (directory / "link.yaml").symlink_to(outside)
    (directory / "directory.yaml").mkdir()
    for name in ("file", "link", "directory"):
        with pytest.raises(UserError, match=r"has already: give another name, nothing is written over"):
            save_plan(directory, name, "theirs")
    assert (directory / "file.yaml").read_text() == "mine"
    assert not outside.exists()


def test_what_is_no_plans_file_is_refused_at_once_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "secret")
    (tmp_path / "binary.yaml").write_bytes(b"hunter2\xff\xfe")
    (tmp_path / "directory.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    with (tmp_path / "large.yaml").open("wb") as large:
        large.truncate(MAX_BYTES + 1)
    for name, words in {
        "link": "cannot be read in .*: it is a symbolic link",
        "binary": "which is no UTF-8 text",
        "directory": "cannot be read in .*: Is a directory",
        "pipe": "which is no regular file",
        "large": "has 10,000,001 bytes: a plan has at most 10,000,000",
        "absent": "cannot be read in .*: No such file",
    }.items():
        with pytest.raises(UserError, match=words) as refused:
            read_plan(tmp_path, name)
        assert "hunter2" not in str(refused.value)


def test_a_plan_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as fault:
        fault.setattr("os.fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            save_plan(tmp_path, "mine", "half")
    assert list(tmp_path.iterdir()) == []
    save_plan(tmp_path, "mine", "whole")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("mine.yaml", "whole")]


def test_a_directory_that_cannot_be_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"save_plan_to is 'a.yaml', which cannot be written in .*: Not a directory"):
        save_plan(tmp_path / "file" / "plans", "a", "")


def test_the_directory_is_named_by_an_absolute_path() -> None:
    name = "WEB_ANALYTICS_BACKFILL_PLANS_DIRECTORY"
    assert str(read_settings({name: "/var/plans"}).backfill_plans_directory) == "/var/plans"
    for value in ("plans", "../plans", "/a\nb", "~/plans"):
        with pytest.raises(SettingsError, match=f"{name} is .*: give the absolute path of a directory"):
            read_settings({name: value})
