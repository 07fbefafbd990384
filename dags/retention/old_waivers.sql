-- The waivers that ended before a day, and how many events there are of each.
-- Grain   one row per waiver
-- Reads   every event of every waiver; people set them, so they are few
SELECT waiver_id, count() AS events
FROM web_analytics_waivers
GROUP BY waiver_id
HAVING max(valid_until) < {day:Date}
