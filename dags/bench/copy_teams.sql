-- Some teams' rows of a table, as another database of the same server has them.
-- Grain   the rows as they are
-- Reads   the table there
-- Cost    their rows, once
INSERT INTO $target SELECT * FROM $origin.$target WHERE team_id BETWEEN {first:UInt64} AND {last:UInt64}
SETTINGS max_partitions_per_insert_block = 0
