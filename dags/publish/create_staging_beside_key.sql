-- The same, where the target has columns that are no part of its key: ClickHouse (26.7) lets them be added, and refuses
-- a table that is made so. They are nobody's dimensions; what a build does not write has its default.
CREATE TABLE $staging AS $target SETTINGS allow_dimensions_outside_sorting_key = 1
