-- What detection last found, by day. A day whose parts and builds are the same as then is not read again.
-- Grain   one row per judged day, the one inserted last counts (FINAL); not the latest clock, which may jump
-- state: a digest of everything that the verdicts depend on: the parts of source and tables within reach, the builds
--        recorded, the enabled teams, whether the day is open, the declarations and this code's rules
-- complete, outdated: units by table; wrong: the units that are not as they should be, and why
CREATE TABLE IF NOT EXISTS web_pre_aggregated_day_states
(
    day Date,
    state String,
    read_at DateTime64(6, 'UTC'),
    complete Map(String, UInt64),
    outdated Map(String, UInt64),
    wrong Array(Tuple(
        table_name String,
        team_id UInt64,
        kind String,
        cause String,
        detail String,
        is_held Bool,
        is_inconsistent Bool,
        source_distinct UInt64,
        source_total UInt64,
        target_distinct UInt64,
        target_total UInt64))
)
ENGINE = ReplacingMergeTree
ORDER BY day
