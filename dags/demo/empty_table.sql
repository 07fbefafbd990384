-- A table is emptied at once.
TRUNCATE TABLE $target SYNC
