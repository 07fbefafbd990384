-- A lease or a bid is done with.
DROP TABLE IF EXISTS $lease SYNC
