-- Whether an event makes its session count: a page view or a screen that belongs to a session.
-- A column of its own, because a projection is used only for expressions that it holds as they are written.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS qualifies UInt8
    MATERIALIZED (event IN ('$$pageview', '$$screen')) AND (session_id != '')
