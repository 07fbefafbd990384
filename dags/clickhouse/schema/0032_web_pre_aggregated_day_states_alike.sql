-- The wrong units of a day in columns: those that are judged alike are one place of these arrays, and each array of a
-- place has one number a unit. Hundreds of thousands of units in words of their own were hundreds of megabytes a day.
-- failure: which build failed, and how, if none has succeeded since; outcome: of the last build, empty if there is none;
-- distinct_word, total_word: what the table counts; built_at: microseconds since 1970
-- Days that 0.4 found keep their array `wrong` until they are read again.
ALTER TABLE web_pre_aggregated_day_states
    ADD COLUMN IF NOT EXISTS alike Nested(
        table_name String,
        kind String,
        cause String,
        is_held Bool,
        is_inconsistent Bool,
        outcome String,
        failure String,
        distinct_word String,
        total_word String,
        teams Array(UInt64),
        source_distinct Array(UInt64),
        source_total Array(UInt64),
        target_distinct Array(UInt64),
        target_total Array(UInt64),
        built_distinct Array(UInt64),
        built_at Array(Int64))
