"""The last evaluation as OpenMetrics text, for a scraper.

Every figure is a gauge, and its series are bounded: of each table, of each outcome of builds, of each verdict. What is
not known has no series; that a table is not known has one, and so has that nobody knows whether all is well. It is text
that the older format's parsers read as well (`node_exporter` has one), so no type is used that they do not know.

Pure: no clock, no database, no Dagster. Importing the library takes 0.17 s, which is for who writes such a file alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from dags.detection.gaps.rules import oldest_age
from dags.metrics.look import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dags.detection.detection import Detection
    from dags.metrics.look import Look
    from dags.metrics.recent import Recent

_PREFIX = "web_analytics_"


def exposition(found: Detection, recent: Recent | None, look: Look) -> str:
    """What was found, how repairs have gone, and whether all was well when somebody looked."""
    return _text([*_of_look(look), *_of_detection(found), *_of_recent(recent)])


def unknown_exposition(tables: Iterable[str], look: Look) -> str:
    """That nothing is known of any table, for the question could not even be asked."""
    return _text([*_of_look(look), _unknown(dict.fromkeys(tables, True))])


def _of_look(look: Look) -> Iterable[GaugeMetricFamily]:
    words = "1 for what health_job answered last, 0 for its other verdicts."
    yield _gauge("health", words, ("verdict",), {(one,): int(one == look.verdict) for one in VERDICTS})
    if look.at is not None:
        at = look.at.timestamp()
        yield _plain("health_timestamp", "When that was, by the clock of the host that asked.", at, unit="seconds")


def _of_detection(found: Detection) -> Iterable[GaugeMetricFamily]:
    yield _unknown({table: table in found.unknown for table in found.tables})
    if found.server_at is None:
        return
    known = [table for table in found.tables if table not in found.unknown]
    wrong: dict[str, int] = dict.fromkeys(known, 0)
    for one in found.wrong.groups:
        wrong[one.table] += len(one)
    gaps = {table: [gap for gap in found.gaps if gap.table == table] for table in known}
    ages = {table: oldest_age(some, found.server_at).total_seconds() for table, some in gaps.items()}
    at = found.server_at.timestamp()
    yield _plain("evaluated_timestamp", "When ClickHouse was read, by its own clock.", at, unit="seconds")
    yield _by_table("complete_units", "Units (table, team, day) that hold their source.", found.complete_by_table)
    yield _by_table("wrong_units", "Units that are missing or wrong and that no waiver covers.", wrong)
    yield _by_table("open_gaps", "Gaps that are open.", {table: len(some) for table, some in gaps.items()})
    yield _by_table("oldest_gap_age", "Since the oldest open gap was seen first; 0 without one.", ages, unit="seconds")


def _of_recent(recent: Recent | None) -> Iterable[GaugeMetricFamily]:
    if recent is None:
        return
    ended: dict[tuple[str, ...], float | None] = {
        (table, outcome): count
        for table, builds in recent.builds.items()
        for outcome, count in builds._asdict().items()
    }
    rates = {table: builds.success_rate for table, builds in recent.builds.items()}
    labels = ("table", "outcome")
    yield _gauge("recent_builds", "Builds of a day that ended in the last 7 days.", labels, ended)
    yield _by_table(
        "recent_success", "Builds that succeeded, of those that did or failed, in 7 days.", rates, unit="ratio"
    )
    gaps = recent.gaps
    opened, closed = ({table: getattr(one, name) for table, one in gaps.items()} for name in ("opened", "closed"))
    yield _by_table("recent_gaps_opened", "Gaps that were first seen in the last 7 days.", opened)
    yield _by_table("recent_gaps_closed", "Gaps that were last seen in the last 7 days.", closed)
    took: dict[tuple[str, ...], float | None] = {
        (table, quantile): None if hours is None else hours * 3600
        for table, one in gaps.items()
        for quantile, hours in (("0.5", one.median_hours), ("0.9", one.p90_hours))
    }
    yield _gauge(
        "recent_repair_time", "From first seen wrong to rebuilt, in 7 days.", ("table", "quantile"), took, "seconds"
    )


def _unknown(is_unknown: Mapping[str, bool]) -> GaugeMetricFamily:
    words = "1 where a table could not be read, so that nothing is known of it."
    return _by_table("table_unknown", words, {table: int(unknown) for table, unknown in is_unknown.items()})


def _plain(name: str, words: str, value: float, *, unit: str = "") -> GaugeMetricFamily:
    return _gauge(name, words, (), {(): value}, unit)


def _by_table(name: str, words: str, values: Mapping[str, float | None], *, unit: str = "") -> GaugeMetricFamily:
    return _gauge(name, words, ("table",), {(table,): value for table, value in values.items()}, unit)


def _gauge(
    name: str, words: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float | None], unit: str = ""
) -> GaugeMetricFamily:
    """A gauge with a series for each value that is known."""
    family = GaugeMetricFamily(_PREFIX + name, words, labels=labels, unit=unit)
    for key, value in values.items():
        if value is not None:
            family.add_metric(key, value)
    return family


class _Families(Collector):
    def __init__(self, families: Iterable[GaugeMetricFamily]) -> None:
        self._families = [family for family in families if family.samples]

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families


def _text(families: Iterable[GaugeMetricFamily]) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return bytes(generate_latest(registry)).decode()  # type: ignore[no-untyped-call]
