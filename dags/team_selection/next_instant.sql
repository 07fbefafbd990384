-- When the next list is written: by the server's clock, and after every list before it, also one that a host stamped
-- whose clock was ahead (before 0.5.0): the last one counts.
-- Grain   one row
-- Reads   the table's last column
SELECT greatest(now64(6, 'UTC'), max(selected_at) + toIntervalMicrosecond(1))
FROM web_pre_aggregated_teams
