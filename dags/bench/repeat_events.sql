-- One event in a thousand is delivered once more, an hour later and with another path: the newest delivery counts.
INSERT INTO events
SELECT * REPLACE (concat(pathname, '/again') AS pathname, inserted_at + toIntervalHour(1) AS inserted_at)
FROM events
WHERE cityHash64(uuid) % 1000 = 0
SETTINGS max_partitions_per_insert_block = 0
