-- The rows of loads go of a day, and no other row; as long as a condition holds, which is asked when this begins.
DELETE FROM $target IN PARTITION {partition:UInt32} WHERE load_id IN {loads:Array(UInt64)} AND $condition
SETTINGS mutations_execute_subqueries_on_initiator = 1
