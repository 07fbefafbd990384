-- Take some teams' newly built rows out of staging again: their old ones stay.
DELETE FROM $staging WHERE team_id IN {teams:Array(UInt64)}
