-- Which teams plans asked for.
-- Grain   one row per plan, day and table
-- Reads   some plans' requests
SELECT plan_id, day, table_name, team_ids
FROM web_pre_aggregated_requests
WHERE plan_id IN {plans:Array(String)} AND day IN {days:Array(Date)}
