-- A backup's parts stay those that were attached, so that their hashes tell whether it is what it was.
ALTER TABLE $backup
MODIFY SETTING
    max_bytes_to_merge_at_max_space_in_pool = 1,
    max_bytes_to_merge_at_min_space_in_pool = 1,
    min_age_to_force_merge_seconds = 0
