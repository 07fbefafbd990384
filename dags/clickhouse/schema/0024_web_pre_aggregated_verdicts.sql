-- What is wrong, for whoever asks in SQL: one row per (table, team, day) that was not as it should be when last read.
CREATE VIEW IF NOT EXISTS web_pre_aggregated_verdicts
AS
SELECT
    day,
    unit.table_name AS table_name,
    unit.team_id AS team_id,
    unit.kind AS kind,
    unit.cause AS cause,
    unit.detail AS detail,
    unit.is_held AS is_held,
    unit.is_inconsistent AS is_inconsistent,
    read_at
FROM web_pre_aggregated_day_states FINAL
ARRAY JOIN wrong AS unit
