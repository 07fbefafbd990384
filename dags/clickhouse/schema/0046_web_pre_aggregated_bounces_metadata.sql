-- Two columns that readers of PostHog's tables filter by; see 0045_web_pre_aggregated_stats_metadata.sql.
ALTER TABLE web_pre_aggregated_bounces
    ADD COLUMN IF NOT EXISTS mat_metadata_loggedIn Nullable(Bool) ALIAS NULL,
    ADD COLUMN IF NOT EXISTS mat_metadata_backend Nullable(String) ALIAS NULL
