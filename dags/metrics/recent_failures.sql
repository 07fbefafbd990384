-- The last build since an instant that failed, of each table: when it ended, and why; by the rules of web_analytics_builds.
-- Grain   one row per table of which one failed
-- Reads   as recent_builds
SELECT table_name, max(builds.finished_at), argMax(error, builds.finished_at)
FROM web_analytics_builds AS builds
WHERE week >= toMonday({since:DateTime64(6, 'UTC')}) AND builds.finished_at >= {since:DateTime64(6, 'UTC')} AND outcome = 'failed'
GROUP BY table_name
