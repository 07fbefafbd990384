"""One evaluation as metadata of the detector and of its tables' checks: what the catalog shows, what others read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import MetadataValue

from dags.dagster_runs.red_checks import NEXT
from dags.detection.gaps.rules import oldest_age
from dags.metrics.figures import HOUR, figures
from dags.repair.decision import Trigger
from dags.web_preaggregated_backfill.last_verdict import REMAINING
from dags.web_preaggregated_backfill.picture import as_markdown, team_by_day
from dags.web_preaggregated_backfill.report import (
    SAMPLE,
    freshness,
    gaps_markdown,
    missing_data,
    missing_days,
    reasons,
    status_line,
)
from dags.web_preaggregated_backfill.small_picture import small_team_by_day

if TYPE_CHECKING:
    from dags.detection.detection import Detection
    from dags.web_preaggregated_backfill.evaluation import Evaluation
    from dags.web_preaggregated_backfill.report import TableStatus

# The UI hides Markdown of a thousand characters and more behind a link.
MARKDOWN_CHARACTERS = 990


def metadata(evaluation: Evaluation) -> dict[str, MetadataValue]:
    """The detector's metadata: the contract's names first, then whatever helps a reader."""
    detection, decision = evaluation.detection, evaluation.decision
    report = missing_data(detection, decision)
    pictured = detection.verdicts, detection.calendar.judged
    entries: dict[str, MetadataValue] = {}
    if detection.wrong:
        entries["picture"] = MetadataValue.md(small_team_by_day(*pictured, MARKDOWN_CHARACTERS))
    entries |= {
        "status": MetadataValue.text(status_line(detection)),
        "should_backfill": MetadataValue.bool(decision.should_backfill),
        "should_backfill_comprehensive": MetadataValue.bool(evaluation.decisions[Trigger.SCHEDULE].should_backfill),
        "total_missing_partitions": MetadataValue.int(report["total_missing_partitions"]),
        "tables_affected": MetadataValue.json(report["tables_with_missing_data"]),
        "lookback_days": MetadataValue.int(detection.lookback_days),
        "trigger": MetadataValue.text(str(evaluation.trigger)),
        "reasons": MetadataValue.md("\n".join(f"- {reason}" for reason in reasons(detection, decision))),
        "gaps": MetadataValue.md(gaps_markdown(detection, MARKDOWN_CHARACTERS)),
        "wrong_units": MetadataValue.int(len(detection.wrong)),
        "teams": MetadataValue.int(detection.teams),
        "days_requested": MetadataValue.int(len(decision.requests)),
        "days_deferred": MetadataValue.int(len(decision.deferred)),
        REMAINING: MetadataValue.json(sorted(str(day) for day in evaluation.begun)),
        "freshness": MetadataValue.text(freshness(detection)),
        "days_read": MetadataValue.int(detection.days_read),
        "outdated_units": MetadataValue.int(sum(detection.outdated.values())),
        "waived_units": MetadataValue.int(len(detection.waived)),
        "unknown": MetadataValue.json(dict(detection.unknown)),
        "unverified_days": MetadataValue.int(len(detection.unverified)),
        "warnings": MetadataValue.json(list(detection.warnings)),
        "query_seconds": MetadataValue.float(round(detection.cost.seconds, 3)),
    }
    entries |= {name: MetadataValue.float(value) for name, value in figures(detection, evaluation.recent).items()}
    if detection.cost.rows_read is not None:
        entries["rows_read"] = MetadataValue.int(detection.cost.rows_read)
    if detection.wrong:
        entries["team_by_day"] = MetadataValue.md(as_markdown(team_by_day(*pictured)))
    for table in detection.tables:
        if table not in detection.unknown:
            days = missing_days(detection, table)
            entries[f"{table}_missing_count"] = MetadataValue.int(len(days))
            entries[f"{table}_sample_dates"] = MetadataValue.json([str(day) for day in days[:SAMPLE]])
    return entries


def of_check(status: TableStatus, found: Detection, elsewhere: str = "") -> dict[str, MetadataValue]:
    """What a check's result says of its table; ``elsewhere`` is of the database, see `last_verdict.provenance`."""
    age: dict[str, MetadataValue] = {}
    if status.table not in found.unknown and found.server_at is not None:
        oldest = oldest_age((gap for gap in found.gaps if gap.table == status.table), found.server_at)
        age = {"oldest_gap_age_hours": MetadataValue.float(round(oldest / HOUR, 2))}
    # Whether anybody is needed, and for what, health says.
    step = {} if status.is_complete else {NEXT: MetadataValue.text("$ dg launch --job health_job")}
    return {
        **step,
        "status": MetadataValue.text(status.words + elsewhere),
        "wrong_units": MetadataValue.int(status.wrong),
        "missing_days": MetadataValue.int(status.missing_days),
        "complete_units": MetadataValue.int(status.complete),
        **age,
        "days": MetadataValue.text(status.days),
        "warnings": MetadataValue.json(list(found.warnings)),
    }
