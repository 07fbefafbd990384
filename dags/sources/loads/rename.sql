-- The copy is whole.
RENAME TABLE $copy TO $landing
