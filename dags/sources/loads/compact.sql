-- What is staged is written in compact parts: a wide one has buffers for every column, of each of a block's days (480 MiB at
-- once for 28 columns, instead of 180). Where it is attached, merges make wide parts of them.
ALTER TABLE $staging MODIFY SETTING min_bytes_for_wide_part = 10000000000
