"""What the ledger is asked for."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from dags.file_ingestion.store import Happened, read_known, read_ledger, read_open, read_standing, record
from dags.file_ingestion.versions import FileEvent, FileVersion, Known, Schema, is_settled
from dags.tests.variants import server_at_night, server_in_stories

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def test_the_ledger_answers_for_the_paths_that_it_is_asked_for_however_long_they_are(client: Client) -> None:
    paths = [f"{number:04d}" + "ü'" * 100 for number in range(1500)]
    versions = [FileVersion(path, 1, 1, "e") for path in [*paths, "other"]]
    happened = [Happened(version, FileEvent.SUCCESS, version.load("one", 1), 1) for version in versions]
    record(client, "one", "work", happened, lambda: None)
    record(client, "another", "work", happened[:1], lambda: None)
    assert read_known(client, "one", [*paths, "unknown"]).keys() == set(paths)
    assert read_known(client, "one", []) == {}
    short = ["".join(letters) for letters in product("abcdefghijklmnopqrstuvwxyz012", repeat=3)]
    assert len(short) > 24_000
    assert read_known(client, "one", short) == {}
    assert len(read_ledger(client, "one")) == len(versions)


_SEVERAL = ("loads", "whole", "broken", "attached")


def in_order(ledger: dict[str, Known]) -> dict[str, Known]:
    """Loads have no order."""

    def ordered(known: Known) -> Known:
        several: dict[str, Any] = {name: tuple(sorted(getattr(known, name))) for name in _SEVERAL}
        return replace(known, **several)

    return {path: ordered(known) for path, known in ledger.items()}


@server_in_stories
@server_at_night
def test_what_is_not_settled_is_the_same_whether_the_whole_ledger_is_read_or_a_part_of_it(client: Client) -> None:
    draw = random.Random(14)
    for _ in range(12):
        # Of most files a version or two, each as far as its events were drawn: also such as no run would write.
        happened = [
            Happened(FileVersion(f"{path}", 1, 1, f"e{version}"), event, path * 10 + version, draw.randint(1, 3))
            for path in range(150)
            for version in range(draw.choice([1, 1, 1, 2, 3]))
            for event in draw.choices(list(FileEvent), k=draw.randint(1, 2))
        ]
        draw.shuffle(happened)
        for start in range(0, len(happened), 40):
            apart = {one.version.path: one for one in happened[start : start + 40]}
            record(client, "one", "work", list(apart.values()), lambda: None)
        ledger = read_ledger(client, "one")
        for schema in (Schema(), Schema(3, 2, 0), Schema(3, 3, 2)):
            open_ = {path: known for path, known in ledger.items() if not is_settled(known, schema)}
            assert in_order(read_open(client, "one", schema)) == in_order(open_)
            asked = [FileVersion(path, 1, 1, "e0") for path in [*ledger, "unknown"]]
            standing = list(read_standing(client, "one", schema, asked))
            assert [version for version, _ in standing] == asked
            known = {version.path: before for version, before in standing if before is not None}
            assert {path: known[path] for path in ledger} == {
                path: (one.version, one.at, path not in open_) for path, one in ledger.items()
            }
            assert standing[-1] == (asked[-1], None)
