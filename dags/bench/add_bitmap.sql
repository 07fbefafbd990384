-- Another way to know who is there, to be weighed against the projection by day and team: one bitmap of teams a day.
-- In a benchmark's own database alone.
ALTER TABLE $target
    ADD PROJECTION bench_bitmap
    (
        SELECT toDate(period_bucket) AS day, groupBitmapState(team_id)
        GROUP BY day
    )
