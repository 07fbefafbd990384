"""Managed backfills: a request's fields with their defaults, and what tests ask of them."""

from __future__ import annotations

from typing import Any

from dags.dagster_runs.launchpad import launchpad_fields
from dags.managed_backfill.fields import BackfillConfig
from dags.tests.world import STATS


def asked(**given: Any) -> dict[str, Any]:
    """A request as the launchpad makes it: every default, then what is given."""
    defaults = {name: field.default_value for name, field in launchpad_fields(BackfillConfig).items()}
    return {**defaults, "target_table": STATS, "reason": "a bug", "requested_by": "ada", **given}
