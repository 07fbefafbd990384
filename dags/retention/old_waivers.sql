-- How many events there are of waivers that ended before a day.
-- Grain   one row
-- Reads   every event of every waiver; people set them, so they are few
SELECT count()
FROM web_analytics_waivers
WHERE waiver_id IN
(
    SELECT waiver_id FROM web_analytics_waivers GROUP BY waiver_id HAVING max(valid_until) < {day:Date}
)
