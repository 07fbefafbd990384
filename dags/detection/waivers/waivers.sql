-- The waivers that were set and not lifted.
-- Grain   one row per waiver
-- Reads   every event of every waiver; people set them, so they are few
SELECT
    waiver_id,
    argMax(first_day, at) AS first_day,
    argMax(last_day, at) AS last_day,
    argMax(team_ids, at) AS team_ids,
    argMax(table_name, at) AS table_name,
    argMax(reason, at) AS reason,
    argMax(requested_by, at) AS requested_by,
    argMax(valid_until, at) AS valid_until
FROM web_analytics_waivers
GROUP BY waiver_id
HAVING countIf(event = 'lifted') = 0
ORDER BY max(at), waiver_id
