-- A database of the demo's own goes, with what earlier runs and whoever went on by hand left in it.
DROP DATABASE $database SYNC
