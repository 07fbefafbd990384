-- Rows that no build may leave: of no team, or that hold nothing. Read of a day's staging, before the swap.
-- Grain   one row
-- Reads   what counts, of the staged day
SELECT countIf($team = 0), countIf($row_distinct = 0), countIf($row_total = 0)
FROM $staging
