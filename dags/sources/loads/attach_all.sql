-- All that has landed, by hard links; what is still being written there stays there.
ALTER TABLE $copy ATTACH PARTITION ID 'all' FROM $landing
