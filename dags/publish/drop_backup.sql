-- A backup is done with.
DROP TABLE IF EXISTS $backup SYNC
