-- A day of events, made in the engine: `per_unit` of every team, all alike but for the times, in sessions of four, of
-- which the fourth is no page view. Sorted as the table is, and written as one part, so that nothing is left to merge.
-- Cost    about a million events a second
INSERT INTO events (team_id, uuid, event, timestamp, person_id, session_id, inserted_at, host, pathname)
SELECT
    1 + intDiv(number, {per_unit:UInt64}) AS team_id,
    reinterpret(sipHash128({day:Date}, number), 'UUID') AS uuid,
    if(number % {per_unit:UInt64} % 4 = 3, '$$autocapture', '$$pageview') AS event,
    toDateTime64({day:Date}, 6, 'UTC') + intDiv(number % {per_unit:UInt64} * 86400, {per_unit:UInt64}) AS timestamp,
    reinterpret(sipHash128(team_id, number % 1000), 'UUID') AS person_id,
    concat(
        toString({day:Date}), '-', toString(team_id), '-', toString(intDiv(number % {per_unit:UInt64}, 4))
    ) AS session_id,
    toDateTime64({day:Date} + 1, 6, 'UTC') AS inserted_at,
    'example.com' AS host,
    concat('/', toString(number % 100)) AS pathname
FROM numbers({teams:UInt64} * {per_unit:UInt64})
SETTINGS
    min_insert_block_size_rows = 4000000, min_insert_block_size_bytes = 0,
    max_insert_threads = 1
