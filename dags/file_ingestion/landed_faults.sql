-- What has landed of each file of a group that is no event: of which fault how many rows, and where some of them stand.
-- Grain   one row per load and fault
-- Reads   the rows that are none
SELECT load_id, toUnixTimestamp(timestamp) AS number, count(), groupArray(5)(event)
FROM $landing
WHERE timestamp < toDateTime(86400, 'UTC')
GROUP BY load_id, number
