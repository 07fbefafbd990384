-- Turn the switch, by the server's clock, and after every turn before it: the last one counts, whichever host's clock
-- was ahead when an earlier one was made.
INSERT INTO web_analytics_backfill_stops (is_stopped, reason, requested_by, at)
SELECT
    {is_stopped:Bool},
    {reason:String},
    {requested_by:String},
    greatest(now64(6, 'UTC'), (SELECT max(at) FROM web_analytics_backfill_stops) + toIntervalMicrosecond(1))
