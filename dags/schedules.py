"""The timetable: what runs when, and why at that hour. All times are UTC, the time zone of days here."""

from __future__ import annotations

from datetime import timedelta

TIME_ZONE = "UTC"

# Before the build, which builds for the teams on this list.
TEAM_SELECTION_CRON = "30 0 * * *"

# Older than this, the list was not written by its schedule.
TEAM_SELECTION_MAX_AGE = timedelta(hours=25)

# An hour after the day's end, when late events have arrived; also builds the day that has just closed.
DAILY_BUILD_CRON = "0 1 * * *"

# After the daily build, so that what is still wrong is nobody's work in progress.
COMPREHENSIVE_CHECK_CRON = "0 2 * * *"

# Often enough that what a person must see to is seen within the hour; after what begins with the hour.
HEALTH_CRON = "20 * * * *"

# When nothing else is due. A backup is kept for whole days, so the hour does not matter.
SWEEP_BACKUPS_CRON = "0 3 * * *"

# An hour after the sweep, when nothing else is due: it takes minutes at most.
RETENTION_CRON = "0 4 * * *"

# Often enough that a gap is repaired within half a day, seldom enough that a failed build has time to be looked at.
SENSOR_INTERVAL_SECONDS = 6 * 3600

# A run whose process is dead is ended within two minutes of its death, a code server's restart included.
DEAD_RUNS_INTERVAL_SECONDS = 30

# How often it is looked whether ingestions of files are due; cron has no finer grain.
FILES_INTERVAL_SECONDS = 60

# How often it is looked whether people are to be told something. What they are told is hours old by its targets.
ALERTS_INTERVAL_SECONDS = 300
