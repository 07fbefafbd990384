"""Late data from PostgreSQL: a request that a person can read, and that ends as exactly what it said."""
