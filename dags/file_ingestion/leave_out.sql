-- What has landed of some files of a group is left out.
DELETE FROM $landing WHERE load_id IN {loads:Array(UInt64)}
