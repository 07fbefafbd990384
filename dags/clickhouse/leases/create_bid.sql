-- A lease before it is taken. Its comment names who wants it; its rows are the signs of life of whoever holds it.
CREATE TABLE IF NOT EXISTS $bid
(
    token String,
    at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = Memory
COMMENT '$token'
