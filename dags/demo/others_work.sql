-- Records of work that a person asked for: the sensor's is the demo's.
-- Grain   one row
-- Reads   all of the table, of which who began the work
SELECT count()
FROM $target
WHERE origin != 'automatic'
