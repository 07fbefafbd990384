"""The last evaluation in a scraper's file: valid by the format's own parser, bounded, whole at any moment."""

from __future__ import annotations

import os
import stat
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as as_open_metrics
from prometheus_client.parser import text_string_to_metric_families as as_prometheus

from dags.detection.gaps.rules import Gap
from dags.detection.rules import Kind
from dags.domain import clock
from dags.domain.clock import utc_now
from dags.domain.errors import EngineError
from dags.health.causes import Answer
from dags.metrics.exposition import exposition, unknown_exposition
from dags.metrics.figures import figures
from dags.metrics.look import VERDICTS, Look
from dags.metrics.recent import Builds, BuildsLately, Gaps, Recent
from dags.metrics.written import write_whole
from dags.tests.metrics.known import DAY, NEXT, ONE, OTHER, READ_AT, found, wrong
from dags.tests.variants import server_at_night
from dags.tests.web_preaggregated_backfill.test_what_is_left import NOWHERE, asked_about
from dags.tests.web_preaggregated_backfill.test_what_is_shown import detector
from dags.tests.world import BOUNCES, STATS, ago
from dags.web_preaggregated_backfill.scraped import leave_look

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from prometheus_client import Metric

    from dags.detection.detection import Detection
    from dags.tests.world import World

pytestmark = server_at_night

HOUR = 3600.0
LOOK = Look("NEEDS YOU", READ_AT)
SAID: dict[tuple[str, ...], float] = {
    ("web_analytics_health", verdict): float(verdict == "NEEDS YOU") for verdict in VERDICTS
}
SAID["web_analytics_health_timestamp_seconds",] = READ_AT.timestamp()
QUOTED = 'a "table"\\with\nall'


def open_gap(hours: float, table: str = ONE, day: date = DAY) -> Gap:
    """Seen first so many hours before the detection."""
    return Gap(table, day, is_held=False, since=READ_AT - timedelta(hours=hours))


def read(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values …) → value; both parsers must read it, and alike."""
    families: list[Metric] = list(as_open_metrics(text))  # type: ignore[no-untyped-call]
    older = list(as_prometheus(text))
    samples = {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}
    assert samples == {(one.name, *one.labels.values()): one.value for family in older for one in family.samples}
    assert {family.type for family in [*families, *older]} == {"gauge"}
    assert all(family.documentation for family in families)
    assert all(not family.unit or family.name.endswith(f"_{family.unit}") for family in families)
    return samples


def of(found: Detection, recent: Recent | None = None) -> dict[tuple[str, ...], float]:
    return {(name.removeprefix("web_analytics_"), *labels): value
            for (name, *labels), value in read(exposition(found, recent, LOOK)).items()
            if not name.startswith("web_analytics_health")}  # fmt: skip


def test_an_evaluation_as_gauges() -> None:
    seen = replace(
        found(wrong(), wrong(team=7), wrong(day=NEXT), wrong(OTHER, 9, NEXT, Kind.WAIVED)),
        complete={(ONE, DAY): 1, (OTHER, DAY): 3},
        gaps=(open_gap(1), open_gap(5, day=NEXT), open_gap(2, OTHER)),
    )
    recent = Recent(
        {ONE: BuildsLately(Builds(3, 1, 2)), OTHER: BuildsLately(Builds(0, 0, 1))},
        {ONE: Gaps(2, 1, 1.5, 2.0), OTHER: Gaps(1, 0)},
    )
    assert of(seen, recent) == {
        ("table_unknown", ONE): 0,
        ("table_unknown", OTHER): 0,
        ("evaluated_timestamp_seconds",): READ_AT.timestamp(),
        ("complete_units", ONE): 1,
        ("complete_units", OTHER): 3,
        ("wrong_units", ONE): 3,
        ("wrong_units", OTHER): 0,
        ("open_gaps", ONE): 2,
        ("open_gaps", OTHER): 1,
        ("oldest_gap_age_seconds", ONE): 5 * HOUR,
        ("oldest_gap_age_seconds", OTHER): 2 * HOUR,
        ("recent_builds", "succeeded", ONE): 3,
        ("recent_builds", "failed", ONE): 1,
        ("recent_builds", "held", ONE): 2,
        ("recent_builds", "succeeded", OTHER): 0,
        ("recent_builds", "failed", OTHER): 0,
        ("recent_builds", "held", OTHER): 1,
        ("recent_success_ratio", ONE): 0.75,
        ("recent_gaps_opened", ONE): 2,
        ("recent_gaps_opened", OTHER): 1,
        ("recent_gaps_closed", ONE): 1,
        ("recent_gaps_closed", OTHER): 0,
        ("recent_repair_time_seconds", "0.5", ONE): 1.5 * HOUR,
        ("recent_repair_time_seconds", "0.9", ONE): 2 * HOUR,
    }
    assert of(found())["oldest_gap_age_seconds", ONE] == 0


def test_what_is_unknown_has_no_series_but_that_it_is() -> None:
    half = of(replace(found(wrong()), unknown={OTHER: "cannot be read"}))
    assert (half["table_unknown", ONE], half["table_unknown", OTHER]) == (0, 1)
    assert {name for name, *labels in half if labels == [OTHER]} == {"table_unknown"}
    nothing = replace(found(), server_at=None, unknown={ONE: "x", OTHER: "x"})
    gone = {**SAID, ("web_analytics_table_unknown", ONE): 1, ("web_analytics_table_unknown", OTHER): 1}
    assert read(exposition(nothing, None, LOOK)) == read(unknown_exposition((ONE, OTHER), LOOK)) == gone


def test_one_verdict_is_1_and_the_others_0_with_the_instant_of_the_look() -> None:
    said = read(exposition(found(), None, LOOK))
    assert {key: value for key, value in said.items() if key[0].startswith("web_analytics_health")} == SAID
    never = read(exposition(found(), None, Look()))
    assert never["web_analytics_health", "UNKNOWN"] == 1
    assert ("web_analytics_health_timestamp_seconds",) not in never


def test_an_old_answer_and_one_of_the_future_are_unknown_and_so_is_all_while_tables_are() -> None:
    assert set(VERDICTS) == set(map(str, Answer))
    look, minute = Look("OK", READ_AT), timedelta(minutes=1)
    told = {
        minutes: look.as_told(READ_AT + minutes * minute, skew=minute, is_known=True)
        for minutes in (-2, -1, 0, 120, 121)
    }
    unknown = Look("UNKNOWN", READ_AT)
    assert told == {-2: unknown, -1: look, 0: look, 120: look, 121: unknown}
    now = READ_AT + minute
    assert look.as_told(now, skew=minute, is_known=False) == Look("UNKNOWN", now)
    assert Look().as_told(now, skew=minute, is_known=True) == Look()
    assert Look.from_document(look.as_document()) == look
    with pytest.raises(ValueError, match="GREAT"):
        Look.from_document({"verdict": "GREAT", "at": None})


def test_names_of_tables_are_escaped_and_read_back() -> None:
    assert read(unknown_exposition([QUOTED], LOOK)) == {**SAID, ("web_analytics_table_unknown", QUOTED): 1}


def test_units_and_the_end_are_written_as_the_format_has_them() -> None:
    lines = exposition(found(), None, LOOK).splitlines()
    assert lines[-1] == "# EOF"
    assert "# TYPE web_analytics_oldest_gap_age_seconds gauge" in lines
    assert "# UNIT web_analytics_oldest_gap_age_seconds seconds" in lines


def test_figures_of_an_evaluation_have_no_number_for_what_is_not_known() -> None:
    recent = Recent({ONE: BuildsLately(Builds(3, 1)), OTHER: BuildsLately(Builds(4, 0))}, {ONE: Gaps(2, 1)})
    assert figures(replace(found(wrong()), complete={(OTHER, DAY): 3}, gaps=(open_gap(1), open_gap(7.5))), recent) == {
        "oldest_gap_age_hours": 7.5, "complete_units": 3.0, "builds_7_days": 8.0, "success_rate_7_days": 0.875,
        "gaps_opened_7_days": 2.0, "gaps_closed_7_days": 1.0,
    }  # fmt: skip
    no_build = {"builds_7_days": 0.0, "gaps_opened_7_days": 0.0, "gaps_closed_7_days": 0.0}
    assert figures(replace(found(), unknown={ONE: "x"}), Recent()) == no_build
    assert figures(found(), None) == {"oldest_gap_age_hours": 0.0, "complete_units": 0.0}


# --- The file ---------------------------------------------------------------------------------------------


def test_who_reads_the_file_while_it_is_written_reads_one_whole_text(tmp_path: Path) -> None:
    path, texts = tmp_path / "metrics.prom", [f"{n}" * 100_000 for n in range(4)]
    write_whole(path, texts[0])
    done = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        while not done.is_set():
            seen.add(path.read_text(encoding="utf-8"))

    reader = threading.Thread(target=look)
    reader.start()

    def write(text: str) -> None:
        for _ in range(30):
            write_whole(path, text)

    writers = [threading.Thread(target=write, args=[one]) for one in texts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    reader.join()
    assert seen <= set(texts)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_file_that_cannot_be_written_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.prom"
    write_whole(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_every_evaluation_leaves_its_file_and_one_that_cannot_even_ask_says_that(world: World, tmp_path: Path) -> None:
    path = tmp_path / "metrics.prom"

    def written() -> dict[tuple[str, ...], float]:
        return read(path.read_text(encoding="utf-8"))

    world.set(metrics_file=path, backfill_min_missing_partitions=1)
    world.traffic([1], [ago(3), ago(2)])
    world.select(1)
    world.tick()
    assert written()["web_analytics_wrong_units", STATS] == written()["web_analytics_open_gaps", STATS] == 2
    assert written()["web_analytics_health", "UNKNOWN"] == 1  # nobody has looked
    shown = detector(world)
    assert shown["builds_7_days"] == 0
    assert "success_rate_7_days" not in shown
    assert shown["gaps_opened_7_days"] == 4
    world.built(ago(3), ago(2))
    world.run_as_configured("check_missing_data_job")
    assert written()["web_analytics_wrong_units", BOUNCES] == 0
    assert written()["web_analytics_recent_success_ratio", STATS] == 1
    assert written()["web_analytics_recent_gaps_closed", STATS] == 2
    shown = detector(world)
    assert (shown["success_rate_7_days"], shown["gaps_opened_7_days"], shown["oldest_gap_age_hours"]) == (1, 4, 0)
    assert all(isinstance(shown[name], float) for name in ("success_rate_7_days", "complete_units"))

    # This instance has no schedules to read, and to look is to say so. Who only evaluates says what was answered last.
    with pytest.raises(Exception, match="schedules could not be read"):
        world.run_as_configured("health_job")
    assert written()["web_analytics_health", "UNKNOWN"] == 1
    looked = written()["web_analytics_health_timestamp_seconds",]
    repairing, now = Look("REPAIRING", utc_now()), utc_now()
    leave_look(world.instance, repairing, None)
    leave_look(world.instance, Look("OK", now - timedelta(hours=1)), None)  # an older one, which came later
    world.missing_data()
    assert written()["web_analytics_health", "REPAIRING"] == 1
    assert written()["web_analytics_health_timestamp_seconds",] > looked
    with mock.patch.object(clock, "utc_now", return_value=now + timedelta(hours=3)):
        world.missing_data()
    assert written()["web_analytics_health", "UNKNOWN"] == 1

    with asked_about(NOWHERE), pytest.raises(EngineError):
        world.missing_data()
    unknown = written()
    assert {key for key, value in unknown.items() if value == 1} == {
        ("web_analytics_health", "UNKNOWN"),
        ("web_analytics_table_unknown", STATS),
        ("web_analytics_table_unknown", BOUNCES),
    }
    assert unknown["web_analytics_health_timestamp_seconds",] > now.timestamp()
    assert {name for name, *_ in unknown if "health" not in name} == {"web_analytics_table_unknown"}


def test_a_file_that_nobody_may_write_fails_no_evaluation(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "nowhere" / "metrics.prom"
    world.set(metrics_file=path)
    world.select(1)
    world.tick()
    assert detector(world)["status"].startswith("COMPLETE")
    [told] = [one.getMessage() for one in caplog.records if "WEB_ANALYTICS_METRICS_FILE" in one.getMessage()]
    assert str(path) in told
