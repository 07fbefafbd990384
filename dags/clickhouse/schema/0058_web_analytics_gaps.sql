-- When a table's day was first seen to be wrong, and when it was seen to be right again: how old a gap is, and how long
-- it took to repair. Kept by every evaluation; it decides nothing of what is rebuilt.
-- Grain   one row per event of a gap, which is a (table, day) with units that are wrong; nothing is ever changed
-- is_held: of the units that await a person's word, which are a gap by themselves beside those that are rebuilt
-- event: opened; closed; left (it lies before the look-back now, so that nobody judges it any more)
-- units, reason: how many were wrong when it was opened, and why most of them; opened_at: of the gap that is over
CREATE TABLE IF NOT EXISTS web_analytics_gaps
(
    table_name LowCardinality(String),
    day Date,
    is_held Bool,
    event LowCardinality(String),
    units UInt64,
    reason LowCardinality(String),
    opened_at DateTime64(6, 'UTC'),
    at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY (table_name, day, is_held, at)
