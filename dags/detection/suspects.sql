-- Compares, for the tables of one source, what is expected of every (team, day) with what exists, and names the units
-- that need a look.
-- Grain   one row per table and day with something to judge: how many units are complete, how many of these an older
--         logic version built, and of the suspect ones an array of each fact, all in the order of their teams; instants
--         in microseconds since 1970, 0 where nothing was ever built
-- Reads   the coverage projections of the source (once) and of each table, and the ledger's projection `last`; of days
--         that were altered in place the ledger's rows too
-- Cost    teams × days, whatever the number of rows; so is its memory, about 300 bytes a unit: it is asked for a range
--         of days at a time
-- Expected is a bound here, not the truth: a unit is a candidate if the day has rows in the source and, within reach,
-- one that makes something expected (a session may begin on the eve of its page views). Suspects are verified
-- exactly, one by one.
-- Tables go by their place in {tables:Array(String)}: joining by names takes half as long again (measured, 1.8 M units).
-- A unit is quietly complete when its table holds what its last build or verification recorded and, once the day is
-- closed, nothing has arrived in its source since; of a day that was altered in place, when that build or
-- verification began after it was noticed.
WITH
    enabled AS
    (
        SELECT team_id
        FROM web_pre_aggregated_teams FINAL
        WHERE is_enabled = 1
    ),
    activity AS
    (
        SELECT $source_day AS day, $source_team AS team, count() AS events, $expected AS expected, $newest AS newest
        FROM $source
        WHERE $source_day >= {start:Date} - {reach:UInt8} AND $source_day < {end:Date} + {reach:UInt8}
        GROUP BY day, team
    ),
    -- What happens on a day bears on the unit of that day and of its neighbours within reach.
    source AS
    (
        SELECT
            toDate(day + shift) AS unit_day,
            toUInt64(team) AS team_id,
            sum(events) AS source_events,
            toUInt64(sum(expected)) AS source_qualifying,
            toDateTime64(max(newest), 6, 'UTC') AS source_newest,
            sumIf(events, shift = 0) AS own_events,
            sumIf(expected, shift <= 0) AS possible
        FROM activity
        ARRAY JOIN range(-{reach:UInt8}, {reach:UInt8} + 1) AS shift
        WHERE team_id IN enabled
        GROUP BY unit_day, team_id
        HAVING unit_day >= {start:Date} AND unit_day < {end:Date}
    ),
    expected AS
    (
        SELECT *, table_number
        FROM source
        ARRAY JOIN arrayMap(n -> toUInt8(n), arrayEnumerate({tables:Array(String)})) AS table_number
    ),
    target AS
    (
        $present
    ),
    last_builds AS
    (
        SELECT
            table_name,
            day,
            team_id,
            argMaxIf(
                tuple(
                    source_events, source_qualifying, source_newest, sessions, pageviews, outcome = 'verified',
                    finished_at
                ),
                finished_at,
                outcome IN ('built', 'empty', 'verified')
            ) AS last,
            argMaxIf(logic_version, finished_at, outcome = 'built') AS built_by
        FROM web_pre_aggregated_builds
        WHERE table_name IN {tables:Array(String)} AND day >= {start:Date} AND day < {end:Date}
        GROUP BY table_name, day, team_id
    ),
    built AS
    (
        SELECT
            toUInt8(indexOf({tables:Array(String)}, table_name)) AS table_number,
            day AS unit_day,
            team_id,
            last,
            built_by
        FROM last_builds
    ),
    -- Of days that were altered in place: the units whose last build or verification began after that was noticed.
    -- One that began before may have ended after, and knows nothing of it.
    settled AS
    (
        SELECT toUInt8(indexOf({tables:Array(String)}, table_name)) AS number, day, team_id
        FROM web_pre_aggregated_builds
        WHERE
            table_name IN {tables:Array(String)}
            AND day IN {doubted:Array(Date)}
            AND outcome IN ('built', 'empty', 'verified')
        GROUP BY table_name, day, team_id
        HAVING
            argMax(started_at, finished_at)
            >= {doubted_since:Array(DateTime64(6, 'UTC'))}[
                indexOf(arrayZip({doubted_tables:Array(UInt8)}, {doubted:Array(Date)}), (number, day))
            ]
    ),
    -- Where a side has no row, its numbers are 0 here (join_use_nulls is 0): no rows, no events, never built.
    units AS
    (
        SELECT
            table_number,
            unit_day,
            rows > 0 AS is_present,
            own_events > 0 AND possible > 0 AS is_candidate,
            unit_day >= {closed_before:Date} AS is_open,
            last.7 > toDateTime64(0, 6, 'UTC') AS is_built,
            is_built
                AND last.1 = source_events
                AND last.2 = source_qualifying
                AND last.3 = greatest(source_newest, toDateTime64(0, 6, 'UTC'))
                AND (
                    NOT has(arrayZip({doubted_tables:Array(UInt8)}, {doubted:Array(Date)}), (table_number, unit_day))
                    OR (table_number, unit_day, team_id) IN settled
                )
                AS is_same_source,
            is_present AND is_built AND last.5 = target_total AS is_as_built,
            is_present AND (is_open ? (is_as_built OR NOT is_built) : (is_same_source AND is_as_built)) AS is_complete,
            is_complete AND built_by > 0 AND built_by < {logic_versions:Array(UInt32)}[table_number] AS is_outdated,
            NOT is_present AND (NOT is_candidate OR (is_same_source AND last.4 = 0)) AS is_nothing,
            tuple(
                team_id,
                source_events,
                source_qualifying,
                toUnixTimestamp64Micro(greatest(source_newest, toDateTime64(0, 6, 'UTC'))),
                rows,
                last.4,
                last.5,
                last.6,
                is_built ? toUnixTimestamp64Micro(last.7) : 0
            ) AS facts
        FROM expected
        FULL OUTER JOIN target USING (table_number, unit_day, team_id)
        LEFT JOIN built USING (table_number, unit_day, team_id)
    )
SELECT
    {tables:Array(String)}[table_number] AS table_name,
    unit_day AS day,
    complete,
    outdated,
    suspects.1 AS teams,
    suspects.2 AS events,
    suspects.3 AS qualifying,
    suspects.4 AS newest,
    suspects.5 AS rows,
    suspects.6 AS built_distinct,
    suspects.7 AS built_total,
    suspects.8 AS is_verified,
    suspects.9 AS built_at
FROM
(
    SELECT
        table_number,
        unit_day,
        countIf(is_complete) AS complete,
        countIf(is_outdated) AS outdated,
        arraySort(fact -> fact.1, groupArrayIf(facts, NOT is_complete AND NOT is_nothing)) AS suspects
    FROM units
    WHERE NOT is_nothing
    GROUP BY table_number, unit_day
)
ORDER BY table_number, day
SETTINGS optimize_time_filter_with_preimage = 0, join_use_nulls = 0
