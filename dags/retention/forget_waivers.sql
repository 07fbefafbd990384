-- Forget the waivers that ended before a day, lifted or not: neither waives anything.
-- Of a replicated table each replica asks its own rows: one that lags keeps more, and then takes the parts of the other.
ALTER TABLE web_analytics_waivers DELETE
WHERE waiver_id IN
(
    SELECT waiver_id FROM web_analytics_waivers GROUP BY waiver_id HAVING max(valid_until) < {day:Date}
)
SETTINGS allow_nondeterministic_mutations = 1
