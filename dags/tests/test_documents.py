"""What stands around the code says what is: words, documents, versions, hooks."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import TYPE_CHECKING

import pytest
import yaml

from dags.tests.test_code import CODE, ROOMS, ROOT, identifiers, named

if TYPE_CHECKING:
    from pathlib import Path

# --- Words ------------------------------------------------------------------------------------------------

GLOSSARY = (ROOT / "dags" / "decisions" / "glossary.md").read_text(encoding="utf-8").split("## Still to be renamed")[0]
WORDS = [row.strip("| ").split(" | ") for row in GLOSSARY.splitlines() if row.startswith("| **")]
OWN_CODE = [path for path in CODE if not {"demo", "bench"} & set(path.parts)]


def test_every_word_of_the_glossary_is_used_and_none_stands_there_twice() -> None:
    words = [word for first, *_ in WORDS for word in re.findall(r"\*\*(.+?)\*\*", first)]
    assert len(words) > 40
    assert len(set(words)) == len(words)
    texts = "\n".join(path.read_text(encoding="utf-8") for path in OWN_CODE).lower()
    assert not [word for word in words if not re.search(rf"(?<![a-z]){word.replace(' ', '[ _]')}(?![a-z])", texts)]


def test_no_name_is_a_word_that_the_glossary_rejects() -> None:
    rejected = {word for *_, last in WORDS for word in re.findall(r"`(\w+)`", last)}
    assert len(rejected) > 20
    used = {(named(path), name) for path in OWN_CODE for name in identifiers(path)}
    assert not {(path, name) for path, name in used for word in rejected if f"_{word}_" in name}


# --- Documents --------------------------------------------------------------------------------------------

DOCUMENTS = [ROOT / name for name in ("README.md", "CHANGELOG.md", "dags/PRODUCTION.md", "dags/decisions/glossary.md")]
DOCUMENTS += sorted((ROOT / ".github").glob("*.md"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_the_lines_of_a_document_fit_a_screen_but_for_the_rows_of_its_tables(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if len(line) > 120 and not line.startswith(("|", "!["))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_a_document_points_at_what_is_there(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if not (path.parent / link).exists()]


def anchors(path: Path) -> list[str]:
    """Of its sections, as GitHub makes them of their titles."""
    titles = re.findall(r"^#{2,} (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_a_link_to_a_section_leads_to_one(path: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if link[1] not in anchors((path.parent / link[0]) if link[0] else path)]


def test_the_contents_of_the_readme_are_its_sections_in_their_order() -> None:
    readme = ROOT / "README.md"
    [contents] = [part for part in readme.read_text(encoding="utf-8").split("\n\n") if part.count("](#") > 3]
    assert re.findall(r"\]\(#(.*?)\)", contents) == anchors(readme)
    assert [re.sub(r"\W", "-", title.lower()) for title in re.findall(r"\[(.*?)\]", contents, re.DOTALL)] == anchors(
        readme
    )


def test_every_version_has_a_date_and_the_newest_is_the_projects() -> None:
    heads = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    versions = [re.fullmatch(r"(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)", head) for head in heads]
    assert all(versions), heads
    numbers = [(tuple(map(int, found[1].split("."))), date.fromisoformat(found[2])) for found in versions if found]
    assert numbers == sorted(numbers, reverse=True)
    newest = ".".join(map(str, numbers[0][0]))
    assert tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"] == newest
    [locked] = [
        package["version"]
        for package in tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
        if package["name"] == "web-analytics-backfill"
    ]
    assert locked == newest


def test_contributing_shows_the_rooms_in_the_order_in_which_they_may_be_imported() -> None:
    contributing = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `(\w+)` \| (.+) \|$", contributing, re.MULTILINE)
    assert shown == [(name, reason) for name, reason in ROOMS.items() if reason]


# --- Hooks and workflows ----------------------------------------------------------------------------------


def test_the_hooks_are_what_make_check_runs_and_the_workflows_run_what_anyone_can() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [checks] = re.findall(r"^check: .*\n\t@\$\(RUN\) (.*)$", makefile, re.MULTILINE)
    tools = [" ".join(check.split()[:2]).removesuffix(" .") for check in checks.split(" && ")]
    entries = [hook["entry"].removeprefix(".venv/bin/") for hook in hooks]
    assert [entry for tool, entry in zip(tools, entries, strict=False) if not entry.startswith(tool)] == []
    ran = set()
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert workflow["permissions"] == {"contents": "read"}
        ran |= {step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step}
    assert {".ci/run", "make coverage", "make soak"} <= ran


def test_what_the_default_suite_leaves_out_is_run_by_ci_or_every_night_but_for_the_walk() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    target = r"^(test|stories|test-cluster|soak|walk): .*\n\t@\$\(RUN\) python -m pytest .*-m '?([^'\n]+)'?$"
    marks = dict(re.findall(target, makefile, re.MULTILINE))
    assert marks == {
        "test": "not (slow or long or second_engine or walk or cluster)",
        "stories": "(second_engine or long or cluster) and not slow",
        "test-cluster": "cluster",
        "soak": "slow",
        "walk": "walk",
    }
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    targets = re.findall(r"^make ([a-z-]+)", ci, re.MULTILINE)
    assert targets == ["setup", "check", "test", "stories", "demo"]
