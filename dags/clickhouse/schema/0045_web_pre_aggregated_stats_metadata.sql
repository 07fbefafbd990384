-- Two columns that readers of PostHog's tables filter by. No event here says them, so they are NULL in every row.
-- Aliases, which are in no part: days of before, staging tables and backups fit together as they did, and a table that
-- has the columns already keeps its own. Whoever fills them makes them stored: MODIFY COLUMN … REMOVE ALIAS.
ALTER TABLE web_pre_aggregated_stats
    ADD COLUMN IF NOT EXISTS mat_metadata_loggedIn Nullable(Bool) ALIAS NULL,
    ADD COLUMN IF NOT EXISTS mat_metadata_backend Nullable(String) ALIAS NULL
