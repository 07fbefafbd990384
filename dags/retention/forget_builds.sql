-- Forget the builds of a month's days that are history, see superseded_builds.sql. Of each unit the last build of each
-- outcome stays, whatever its age: it says from what the unit was built, by which logic, and why it failed.
-- Of a replicated table each replica asks its own rows: one that lags keeps more, and then takes the parts of the other.
ALTER TABLE web_pre_aggregated_builds DELETE IN PARTITION {partition:UInt32}
WHERE
    finished_at < {before:DateTime64(6, 'UTC')}
    AND NOT has({run_ids:Array(String)}, run_id)
    AND (table_name, day, team_id, outcome, finished_at) NOT IN
    (
        SELECT table_name, day, team_id, outcome, max(finished_at)
        FROM web_pre_aggregated_builds
        WHERE day >= {start:Date} AND day < {end:Date}
        GROUP BY table_name, day, team_id, outcome
    )
SETTINGS allow_nondeterministic_mutations = 1
