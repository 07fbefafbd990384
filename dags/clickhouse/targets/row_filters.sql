-- How ClickHouse would count some tables. The plan shows what hides rows from this user, and needs no right but to read.
-- Grain   one row per line of the plan
-- Reads   nothing: nothing of it is executed
EXPLAIN actions = 1
$counts
