-- Rows of teams that the demo neither loaded nor listed.
-- Grain   one row
-- Reads   all of the table, of which the team
SELECT count()
FROM $target
WHERE team_id NOT IN (SELECT team_id FROM web_analytics_demo)
