-- Staging is done with. Gone only when no statement uses it any more.
DROP TABLE IF EXISTS $tables SYNC
