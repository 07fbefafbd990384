-- Swap the day in: a reader sees the old day or the new one. Refused by ClickHouse when staging has no row of the
-- day (code 36), and before 26.6 it would have emptied the day in silence: an empty day is dropped, not replaced.
ALTER TABLE $target REPLACE PARTITION {partition:UInt32} FROM $staging
