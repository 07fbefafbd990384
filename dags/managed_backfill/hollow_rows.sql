-- Rows that no build may leave: of no team, or with a state that holds nothing. Read of a day's staging, before the swap.
-- Grain   one row
-- Reads   the states of the staged day
SELECT
    countIf(team_id = 0),
    countIf(finalizeAggregation(sessions_uniq_state) = 0),
    countIf(finalizeAggregation(pageviews_count_state) = 0)
FROM $staging
