-- What is wrong, for whoever asks in SQL: one row per (table, team, day) that was not as it should be when last read.
-- Days that 0.4 found, and that were not read since, are in the second half.
CREATE OR REPLACE VIEW web_pre_aggregated_verdicts
AS
SELECT
    day,
    table_name,
    team_id,
    kind,
    cause,
    concat(
        failure,
        failure = '' ? '' : '; ',
        'source ', toString(source_sessions), ' ', distinct_word, ', ', toString(source_pageviews), ' ', total_word,
        '; table ', toString(target_sessions), ' ', distinct_word, ', ', toString(target_pageviews), ' ', total_word,
        outcome = ''
            ? ''
            : concat(
                '; ', outcome, ' ', formatDateTime(fromUnixTimestamp64Micro(built, 'UTC'), '%Y-%m-%d %H:%i'),
                ' with ', toString(built_sessions), ' ', distinct_word
            )
    ) AS detail,
    is_held,
    is_inconsistent,
    read_at
FROM
(
    SELECT
        day,
        read_at,
        alike.table_name AS table_name,
        alike.kind AS kind,
        alike.cause AS cause,
        alike.is_held AS is_held,
        alike.is_inconsistent AS is_inconsistent,
        alike.outcome AS outcome,
        alike.failure AS failure,
        alike.distinct_word AS distinct_word,
        alike.total_word AS total_word,
        alike.teams AS teams,
        alike.source_distinct AS sources_distinct,
        alike.source_total AS sources_total,
        alike.target_distinct AS targets_distinct,
        alike.target_total AS targets_total,
        alike.built_distinct AS all_built_distinct,
        alike.built_at AS all_built_at
    FROM web_pre_aggregated_day_states FINAL
    ARRAY JOIN alike
)
ARRAY JOIN
    teams AS team_id,
    sources_distinct AS source_sessions,
    sources_total AS source_pageviews,
    targets_distinct AS target_sessions,
    targets_total AS target_pageviews,
    all_built_distinct AS built_sessions,
    all_built_at AS built
UNION ALL
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
