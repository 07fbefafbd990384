-- The day has no row any more: its parts go to a table of the build's own, in one step. Refused by ClickHouse when that
-- table is gone, as it is for a build that was robbed of its lease; DROP PARTITION would not know.
ALTER TABLE $target MOVE PARTITION {partition:UInt32} TO TABLE $staging
