-- A backup of a day that was taken by a run which died before it said so: it is taken again.
ALTER TABLE $backup DROP PARTITION {partition:UInt32}
