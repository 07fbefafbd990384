-- Where a backfill keeps the days that it replaces; their parts are attached, not copied.
CREATE TABLE IF NOT EXISTS $backup AS $target COMMENT '$kept_until'
