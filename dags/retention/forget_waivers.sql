-- Forget waivers that have ended, lifted or not, by their ids: every replica forgets the same ones, also one that lags.
ALTER TABLE web_analytics_waivers DELETE
WHERE waiver_id IN {waiver_ids:Array(String)}
