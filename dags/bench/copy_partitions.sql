-- Keep what a table holds under another name, at no cost: the parts are shared.
ALTER TABLE $copy ATTACH PARTITION ALL FROM $target
