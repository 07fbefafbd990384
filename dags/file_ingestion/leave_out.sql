-- The rows of some files of a group are left out of what has landed.
DELETE FROM $landing WHERE _range IN {files:Array(UInt32)}
