-- A load's rows of a day go, and no other row; as long as a condition holds, which is asked when this begins.
DELETE FROM $target IN PARTITION {partition:UInt32} WHERE load_id = {load:UInt64} AND $condition
SETTINGS mutations_execute_subqueries_on_initiator = 1
