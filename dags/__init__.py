"""A Dagster code location that keeps pre-aggregated web-analytics tables in ClickHouse complete."""
