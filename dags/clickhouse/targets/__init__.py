"""Which tables may be read or built: what they are in ClickHouse, held against what is needed of them."""
