-- What statements of ticks and runs cost a server, by week, the oldest first.
-- Grain   one row per week
-- Reads   as web_analytics_statements, from a Monday on
SELECT week, count(), sum(cpu_seconds), max(peak_memory), sum(rows_read), sum(bytes_read)
FROM web_analytics_statements
WHERE event_date >= {since:Date} - 1 AND week >= {since:Date}
GROUP BY week
ORDER BY week
