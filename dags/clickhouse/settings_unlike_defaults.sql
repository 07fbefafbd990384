-- Settings that are not as ClickHouse has them by default, for this user and under what the statement itself sets; and
-- those that are named, whatever they are.
-- Grain   one row per setting: name, value, whether the user may not change it, default
-- Reads   system.settings
-- Cost    none
SELECT name, value, readonly AS is_fixed, default
FROM system.settings
WHERE (value != default AND NOT is_obsolete AND alias_for = '') OR name IN {named:Array(String)}
