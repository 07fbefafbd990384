-- What each run cost a server, and what it did as far as it builds or loads; the dearest in processor first.
-- Grain   one row per run: so many at most; `tick` stands for all ticks
-- kind    of its work; empty of a run that asks or plans
-- Reads   as web_analytics_statements and web_analytics_run_costs, from a Monday on
SELECT
    statements.run_id,
    any(costs.kind),
    min(event_time),
    count(),
    countIf(is_failed),
    sum(cpu_seconds) AS cpu,
    max(peak_memory),
    sum(statements.rows_read),
    sum(statements.bytes_read)
FROM web_analytics_statements AS statements
LEFT JOIN
(
    SELECT run_id, any(kind) AS kind
    FROM web_analytics_run_costs
    WHERE week >= {since:Date}
    GROUP BY run_id
) AS costs ON costs.run_id = statements.run_id
WHERE event_date >= {since:Date} - 1 AND statements.week >= {since:Date}
GROUP BY statements.run_id
ORDER BY cpu DESC, statements.run_id
LIMIT {most:UInt32}
