-- A day of web_pre_aggregated_bounces, made in the engine: one row of every team, one session of one page view. One
-- unit in `one_in` is left out; fill_ledger.sql knows which by the same hash.
INSERT INTO web_pre_aggregated_bounces
(
    period_bucket, team_id, host, device_type, persons_uniq_state, sessions_uniq_state, pageviews_count_state,
    bounces_count_state, total_session_duration_state, total_session_count_state
)
SELECT
    toDateTime({day:Date}, 'UTC') AS period_bucket,
    1 + number AS team_id,
    'example.com' AS host,
    'Desktop' AS device_type,
    initializeAggregation('uniqState', reinterpret(sipHash128(team_id, 0), 'UUID')) AS persons_uniq_state,
    initializeAggregation(
        'uniqState', concat(toString({day:Date}), '-', toString(team_id), '-0')
    ) AS sessions_uniq_state,
    initializeAggregation('sumState', toUInt64(1)) AS pageviews_count_state,
    initializeAggregation('sumState', toUInt64(1)) AS bounces_count_state,
    initializeAggregation('sumState', toInt64(0)) AS total_session_duration_state,
    initializeAggregation('sumState', toUInt64(1)) AS total_session_count_state
FROM numbers({teams:UInt64})
WHERE cityHash64('web_pre_aggregated_bounces', {day:Date}, team_id) % {one_in:UInt64} != 0
SETTINGS
    optimize_on_insert = 0,
    max_insert_threads = 1
