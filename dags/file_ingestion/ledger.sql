-- What an ingestion knows of every file: its newest version, what became of that, how often it failed since, when; and
-- the loads of it, of whichever version, whose rows are in the target, or may be: what broke off.
-- Grain   one row per file
-- Reads   the events of the ingestion's files that are chosen
SELECT
    path,
    argMaxIf(version_size, last_at, is_known) AS size,
    argMaxIf(micros, last_at, is_known) AS modified,
    argMaxIf(version_etag, last_at, is_known) AS etag,
    argMaxIf(last_event, last_at, is_known) AS event,
    argMaxIf(failures, last_at, is_known) AS failed,
    maxIf(last_at, is_known) AS at,
    groupArrayIf(load, is_there) AS loads
FROM
(
    SELECT
        path,
        load,
        any(size) AS version_size,
        toUnixTimestamp64Micro(any(modified_at)) AS micros,
        any(etag) AS version_etag,
        max(at) AS last_at,
        argMax(event, at) AS last_event,
        last_event != 'replaced' AS is_known,
        maxIf(at, event IN ('success', 'cleared')) AS settled_at,
        length(arrayFilter(one -> one > settled_at, groupArrayIf(at, event = 'failed'))) AS failures,
        argMaxIf(event, at, event != 'discovered') IN ('processing', 'success') AS is_there
    FROM web_analytics_file_events
    WHERE ingestion_id = {ingestion:String} AND ({is_whole:Bool} OR path IN {paths:Array(String)})
    GROUP BY path, load
)
GROUP BY path
