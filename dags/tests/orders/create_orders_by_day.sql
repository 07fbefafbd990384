-- Orders and customers by day and account; a day a partition, and no projection.
CREATE TABLE orders_by_day
(
    day Date,
    account_id UInt32,
    orders UInt64,
    customers AggregateFunction(uniq, String)
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(day)
ORDER BY (account_id, day)
