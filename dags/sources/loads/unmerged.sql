-- A table that is made like the target, for a load: nothing in it is merged, which would read and write everything again, and
-- a TTL drops its rows in merges, which are counted first. Its parts are compact: a wide one has buffers for every column,
-- of each of a block's days (480 MiB at once for 28 columns, instead of 180). Where they are attached, merges make wide parts
-- of them.
ALTER TABLE $staging
    MODIFY SETTING min_bytes_for_wide_part = 10000000000, max_bytes_to_merge_at_max_space_in_pool = 1,
    parts_to_delay_insert = 100000, parts_to_throw_insert = 100000
