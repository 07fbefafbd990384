-- What earlier detections found, by day, and in which state of the tables.
-- Grain   one row per day, the wrong units in arrays: one place a group of units that are judged alike, and in it one a
--         unit
-- Reads   the days of [start, end)
SELECT
    day,
    state,
    read_at,
    complete,
    outdated,
    alike.table_name,
    alike.kind,
    alike.cause,
    alike.is_held,
    alike.is_inconsistent,
    alike.outcome,
    alike.failure,
    alike.distinct_word,
    alike.total_word,
    alike.teams,
    alike.source_distinct,
    alike.source_total,
    alike.target_distinct,
    alike.target_total,
    alike.built_distinct,
    alike.built_at
FROM web_pre_aggregated_day_states FINAL
WHERE day >= {start:Date} AND day < {end:Date}
