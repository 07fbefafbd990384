-- Take some teams' rows out of staging: those that are being replaced, or newly built ones whose old rows stay.
DELETE FROM $staging WHERE $team IN {teams:Array(UInt64)}
