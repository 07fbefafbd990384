-- Events of one day, as delivered.
-- Grain   one row
SELECT count()
FROM events
WHERE timestamp >= toDateTime64({day:Date}, 6, 'UTC') AND timestamp < toDateTime64({day:Date} + 1, 6, 'UTC')
