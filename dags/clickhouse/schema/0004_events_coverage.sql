-- Activity by day and team, kept by ClickHouse with every part: what detection reads in place of the events.
ALTER TABLE events
    ADD PROJECTION IF NOT EXISTS coverage
    (
        SELECT toDate(timestamp) AS day, team_id, count(), sum(qualifies), max(inserted_at)
        GROUP BY day, team_id
    )
