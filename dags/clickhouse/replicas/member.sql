-- What a server says of the cluster that it belongs to, and of its own place there.
-- Grain   one row per server of the cluster, per macro, and per cluster that there is: what it is; a name, and a text,
--         the number of the shard, and whether it is this very server
-- Reads   system.clusters and system.macros
SELECT 'member' AS what, concat(host_name, ':', toString(port)) AS name, '' AS text, shard_num, is_local
FROM system.clusters
WHERE cluster = {cluster:String}
UNION ALL
SELECT 'macro', macro, substitution, 0, 0 FROM system.macros
UNION ALL
SELECT DISTINCT 'cluster', cluster, '', 0, 0 FROM system.clusters
