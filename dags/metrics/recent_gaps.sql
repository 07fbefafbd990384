-- How many gaps have opened and closed since an instant, and the hours that those took which a build has closed, of
-- those that awaited no person's word.
-- Grain   one row per table of which one has
-- Reads   as web_analytics_gap_log
SELECT
    table_name,
    countIf(opened_at >= {since:DateTime64(6, 'UTC')}),
    countIf(ifNull(closed_at >= {since:DateTime64(6, 'UTC')}, false)),
    quantileExactInclusiveOrNullIf(0.5)(
        assumeNotNull(hours), ifNull(closed_at >= {since:DateTime64(6, 'UTC')}, false) AND closed_by = 'build' AND NOT is_held
    ),
    quantileExactInclusiveOrNullIf(0.9)(
        assumeNotNull(hours), ifNull(closed_at >= {since:DateTime64(6, 'UTC')}, false) AND closed_by = 'build' AND NOT is_held
    )
FROM web_analytics_gap_log
WHERE opened_at >= {since:DateTime64(6, 'UTC')} OR closed_at >= {since:DateTime64(6, 'UTC')}
GROUP BY table_name
