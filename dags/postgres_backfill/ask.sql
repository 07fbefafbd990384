-- What PostgreSQL answers to a statement of ours.
-- Grain   the statement's
SELECT * FROM $source
SETTINGS max_execution_time = {seconds:UInt64}
