-- Staging is done with.
DROP TABLE IF EXISTS $table SYNC
