-- What a shop's accounts sold; a month a partition, and no projection.
CREATE TABLE orders
(
    account_id UInt32,
    customer String,
    ordered_at DateTime('UTC'),
    delivered_at DateTime('UTC') DEFAULT now()
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ordered_at)
ORDER BY (account_id, ordered_at)
