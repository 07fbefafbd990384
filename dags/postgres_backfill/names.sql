-- The columns of a declared query.
-- Grain   one row per column, its name first
DESCRIBE TABLE $source
