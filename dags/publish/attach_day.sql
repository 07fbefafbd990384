-- The day's parts of one table, in another one too: hard links, no copy.
ALTER TABLE $into ATTACH PARTITION {partition:UInt32} FROM $source
