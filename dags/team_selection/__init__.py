"""Which teams are watched: asked from the configured sources, written to ClickHouse, read back from its dictionary."""
