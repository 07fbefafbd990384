"""Builds the two pre-aggregated tables, a day at a time: stage, validate, publish, record."""
