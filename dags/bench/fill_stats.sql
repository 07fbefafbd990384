-- A day of web_pre_aggregated_stats, made in the engine: `per_unit` rows of every team, each of one page view. One
-- unit in `one_in` is left out; fill_ledger.sql knows which by the same hash. Sorted as the table is, one part.
INSERT INTO web_pre_aggregated_stats
(
    period_bucket, team_id, host, device_type, pathname, persons_uniq_state, sessions_uniq_state, pageviews_count_state
)
SELECT
    toDateTime({day:Date}, 'UTC') + intDiv(number % {per_unit:UInt64} * 24, {per_unit:UInt64}) * 3600 AS period_bucket,
    1 + intDiv(number, {per_unit:UInt64}) AS team_id,
    'example.com' AS host,
    'Desktop' AS device_type,
    leftPad(toString(number % {per_unit:UInt64}), 8, '0') AS pathname,
    initializeAggregation('uniqState', reinterpret(sipHash128(team_id, number % 1000), 'UUID')) AS persons_uniq_state,
    initializeAggregation(
        'uniqState',
        concat(toString({day:Date}), '-', toString(team_id), '-', toString(number % {per_unit:UInt64}))
    ) AS sessions_uniq_state,
    initializeAggregation('sumState', toUInt64(1)) AS pageviews_count_state
FROM numbers({teams:UInt64} * {per_unit:UInt64})
WHERE cityHash64('web_pre_aggregated_stats', {day:Date}, team_id) % {one_in:UInt64} != 0
SETTINGS
    optimize_on_insert = 0,
    min_insert_block_size_rows = 4000000, min_insert_block_size_bytes = 0,
    max_insert_threads = 1
