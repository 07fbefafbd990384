-- Stop what a dead run's client left running, so that its staging can be dropped at once.
KILL QUERY WHERE position(query, {table:String}) > 0 AND query_kind IN ('Insert', 'Create') ASYNC
