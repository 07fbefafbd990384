-- Of the parts attached to staging, leave only the rows of the teams that are kept as they are.
DELETE FROM $staging WHERE team_id NOT IN {kept:Array(UInt64)}
