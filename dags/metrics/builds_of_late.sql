-- The builds of some weeks and how they ended.
-- Grain   one row per build, a run's of a table's day in a week
-- Reads   the ledger of these weeks, and the events of steps that failed
SELECT week, table_name, outcome, source_rows, error, started_at, finished_at
FROM web_analytics_builds
WHERE week IN {weeks:Array(Date)}
