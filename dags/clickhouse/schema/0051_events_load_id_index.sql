-- "Is this load here?" is asked of a day after a crash, and when a load's rows are taken out again: where it is not, no
-- row is read. A load is attached in parts of its own, so that few values meet in 16 granules.
ALTER TABLE events ADD INDEX IF NOT EXISTS load_id_set load_id TYPE set(16) GRANULARITY 16
