-- A load's rows of a day go, and no other row.
DELETE FROM $target IN PARTITION {partition:UInt32} WHERE load_id = {load:UInt64}
