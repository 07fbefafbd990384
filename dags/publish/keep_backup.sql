-- Until when a backup is kept, once more days are put into it.
ALTER TABLE $backup MODIFY COMMENT '$kept_until'
