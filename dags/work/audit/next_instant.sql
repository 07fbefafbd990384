-- When the next events of a piece of work happen: by the server's clock, and after everything that its log has. So
-- neither events that a host stamped whose clock was ahead (before 0.5.0) nor a server's clock that steps back reorders
-- them.
-- Grain   one row: that instant, and the server's clock as it is
-- Reads   that work's events, one column alone
SELECT greatest(now64(6, 'UTC'), max(at) + toIntervalMicrosecond(1)), now64(6, 'UTC')
FROM web_analytics_backfill_events
WHERE backfill_id = {work_id:String}
