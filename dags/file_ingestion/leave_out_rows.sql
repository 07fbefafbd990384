-- The rows that are none are left out of what has landed.
DELETE FROM $landing WHERE _batch >= {first_fault:UInt32}
