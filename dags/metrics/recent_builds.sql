-- How the builds since an instant ended: succeeded, failed, held, by table; by the rules of web_analytics_builds.
-- Grain   one row per table that was built
-- Reads   the ledger's stretches of that time, and the events of steps that failed
SELECT table_name, countIf(outcome = 'built'), countIf(outcome = 'failed'), countIf(outcome = 'held')
FROM web_analytics_builds
WHERE week >= toMonday({since:DateTime64(6, 'UTC')}) AND finished_at >= {since:DateTime64(6, 'UTC')}
GROUP BY table_name
