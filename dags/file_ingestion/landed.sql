-- What has landed of each file of a group that can be an event.
-- Grain   one row per load of which such a row has landed
-- Reads   two columns of all that has landed
SELECT load_id, count()
FROM $landing
WHERE timestamp >= toDateTime(86400, 'UTC')
GROUP BY load_id
