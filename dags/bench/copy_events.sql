-- The same traffic again, of other visitors: every event becomes `copies` of them, each with its own uuid, person and
-- session. What arrived twice still does.
INSERT INTO events
SELECT
    * REPLACE
    (
        reinterpret(sipHash128(uuid, copy), 'UUID') AS uuid,
        reinterpret(sipHash128(person_id, copy), 'UUID') AS person_id,
        concat(distinct_id, '-', toString(copy)) AS distinct_id,
        if(session_id = '', '', concat(session_id, '-', toString(copy))) AS session_id
    )
    EXCEPT (copy)
FROM
(
    SELECT *, arrayJoin(range(1, {copies:UInt64})) AS copy
    FROM events
)
SETTINGS max_partitions_per_insert_block = 0
