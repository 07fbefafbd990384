-- A day of a table is lost, for one team in `shares`.
DELETE FROM $target
WHERE
    period_bucket >= toDateTime({day:Date}, 'UTC')
    AND period_bucket < toDateTime({day:Date} + 1, 'UTC')
    AND team_id % {shares:UInt64} = {share:UInt64}
