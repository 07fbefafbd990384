-- A day of a backup whose parts the table takes no longer, since its columns, projections or indices have changed.
INSERT INTO $staging ($columns)
SELECT $columns
FROM $backup
WHERE $day = {day:Date}
