-- What closed a gap, for it is known when that is recorded, and forgotten later: build (of the day, that succeeded
-- meanwhile), waiver (it covers more units by now), other (the source shrank, a team left the list, a restore; or what is
-- left awaits a person). Empty in what was recorded before 0.12.0, which nobody guesses, and in events of another kind.
-- waived: of one that opened, how many of the day's other units a waiver covered then.
ALTER TABLE web_analytics_gaps
    ADD COLUMN IF NOT EXISTS waived UInt64,
    ADD COLUMN IF NOT EXISTS closed_by LowCardinality(String)
