"""How ClickHouse is reached and asked: the engine that a DSN names, settings, statements, failures, leases, schema."""
