-- The day has no session any more.
ALTER TABLE $target DROP PARTITION {partition:UInt32}
