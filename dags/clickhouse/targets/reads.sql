-- Of which tables one shows the rows that holds none itself: a view, or a view of views.
-- Grain   one row per line of the query's tree, which names each table, also one that has no row here
-- Reads   nothing, but what a view's own scalar subqueries read
EXPLAIN QUERY TREE
SELECT count() FROM $table
SETTINGS analyzer_inline_views = 1
