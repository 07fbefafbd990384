"""The file of the page: refused before anything is asked, written whole, and nothing else is ever written over."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from dags.domain.errors import UserError
from dags.health.page_file import MARK, PageFile

if TYPE_CHECKING:
    from pathlib import Path


def test_a_page_replaces_the_one_that_is_there_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "health.html"
    for words in ("first", "é second"):
        PageFile.at(str(path)).save(MARK + words)
        assert path.read_text(encoding="utf-8") == MARK + words
        assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("given", ["health.html", "../health.html", "/tmp/health.txt", "/tmp/.html", "/tmp/"])  # noqa: S108
def test_what_is_no_absolute_path_of_a_page_is_refused(given: str) -> None:
    with pytest.raises(UserError, match=r"save_page_to is '.*': give an absolute path that ends in \.html"):
        PageFile.at(given)


def test_a_directory_that_is_not_there_or_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no directory: make it, or name another"):
        PageFile.at(str(tmp_path / "none" / "health.html"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no directory"):
        PageFile.at(str(tmp_path / "file" / "health.html"))


@pytest.mark.skipif(
    sys.platform != "linux", reason="/proc is a directory that root cannot write either, on Linux alone"
)
def test_a_directory_that_nobody_can_write_is_refused() -> None:
    with pytest.raises(UserError, match=r"save_page_to is '/proc/health.html': it cannot be written: "):
        PageFile.at("/proc/health.html")


def test_no_file_of_anybody_else_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "health.html"
    path.write_text("<!doctype html>\nmine", encoding="utf-8")
    linked, page, pipe = tmp_path / "linked.html", tmp_path / "page", tmp_path / "pipe.html"
    page.write_text(MARK, encoding="utf-8")
    linked.symlink_to(page)
    os.mkfifo(pipe)
    (tmp_path / "directory.html").mkdir()
    for other in (path, pipe, tmp_path / "directory.html"):
        with pytest.raises(UserError, match=r"something else than a page of health_job is there|Is a directory"):
            PageFile.at(str(other))
    with pytest.raises(UserError, match="it is a symbolic link"):
        PageFile.at(str(linked))
    assert path.read_text(encoding="utf-8") == "<!doctype html>\nmine"


def test_what_gets_there_while_the_answer_is_found_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "health.html"
    file = PageFile.at(str(path))
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="something else"):
        file.save(MARK)
    assert path.read_text(encoding="utf-8") == "mine"
    assert [*tmp_path.iterdir()] == [path]
