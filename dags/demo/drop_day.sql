-- A day of a table is lost.
ALTER TABLE $target DROP PARTITION {partition:UInt32}
