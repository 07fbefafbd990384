-- The leases of all replicas of this shard and database: a key in Keeper for each, with its holder and when that last
-- said that it lives, by the clock of the server that it asked.
CREATE TABLE IF NOT EXISTS $leases
(
    name String,
    token String,
    at DateTime64(3, 'UTC')
)
ENGINE = KeeperMap('/web_analytics/$database/$shard/leases')
PRIMARY KEY name
