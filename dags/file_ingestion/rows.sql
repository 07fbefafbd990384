-- The rows of files as they are there, each as the texts of its columns; and the number of the fault that a row as a
-- whole has.
-- Grain   one row per row of a file
-- Reads   these files, once
SELECT $row AS _row, toUInt32($fault) AS _fault, '' AS _sample, $path AS _file, _etag, _size, _time, _row_number
FROM $source
WHERE $path IN {paths:Array(String)}
