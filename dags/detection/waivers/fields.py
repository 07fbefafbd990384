"""What the jobs of waivers are asked for. Apart from `rules`, for a detection needs those, and no models.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from pydantic import Field

from dags.domain.given import Day, Given, TeamIds, Words


class WaiverConfig(Given):
    """What `waive_job` is asked for."""

    first_day: Day = Field(description="First day that is waived, YYYY-MM-DD.")
    last_day: Day = Field(description="Last day that is waived, itself included.")
    valid_until: Day = Field(description="The day on which the waiver ends, itself included; at most a year away.")
    reason: Words = Field(description="Why these units need no rebuild; shown in every report.")
    requested_by: Words = Field(description="Who says so.")
    team_ids: TeamIds = Field(default=(), description="The teams that are waived; all, when left out.")
    table: str = Field(default="", description="The table that is waived; every watched one, when left out.")


class LiftConfig(Given):
    """What `lift_waiver_job` is asked for."""

    waiver_id: Words = Field(description="The id that waive_job printed; list_waivers_job shows it too.")
    requested_by: Words = Field(description="Who lifts it.")
