-- A team's rows of a day vanish, as when somebody deletes with too wide a filter.
DELETE FROM $target
WHERE
    team_id = {team:UInt64}
    AND period_bucket >= toDateTime({day:Date}, 'UTC')
    AND period_bucket < toDateTime({day:Date} + 1, 'UTC')
