-- A day of a load reaches its readers, beside the rows that others wrote: hard links, nothing is replaced.
ALTER TABLE $target ATTACH PARTITION {partition:UInt32} FROM $staging
