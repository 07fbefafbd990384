-- Which load brought an event, see dags/sources/loads; 0 for what others write. Old parts have it without being
-- rewritten: it is the default.
ALTER TABLE events ADD COLUMN IF NOT EXISTS load_id UInt64 DEFAULT 0
