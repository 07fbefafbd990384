-- What duplicates.sql and unusual.sql find, in one reading: where few teams are asked for, most of what is read of the
-- events is of other teams, and each reading of them costs more than to group hashes of both kinds together. Events and
-- sessions whose hashes collide only take the slower way, which is exact.
-- Grain   one row per hash of an event that both files tell of, and of a session; of an event neither column is set
-- Reads   team_id, uuid, session_id and timestamp of those teams' events of [start - 1, end + 1)
CREATE TABLE $exceptions
ENGINE = MergeTree
ORDER BY hash
AS
SELECT
    one.1 AS hash,
    one.2 AND min(day) != max(day) AS spans,
    one.2 AND count() > {large:UInt64} AS is_large
FROM
(
    SELECT
        toDate(timestamp) AS day,
        arrayJoin(if(
            session_id = '',
            [tuple(cityHash64(team_id, uuid), false)],
            [tuple(cityHash64(team_id, uuid), false), tuple(cityHash64(team_id, session_id), true)]
        )) AS one
    FROM events
    WHERE
        timestamp >= toDateTime64({start:Date} - 1, 6, 'UTC')
        AND timestamp < toDateTime64({end:Date} + 1, 6, 'UTC')
        AND team_id IN {teams:Array(UInt64)}
)
GROUP BY one
HAVING spans OR is_large OR (NOT one.2 AND count() > 1)
