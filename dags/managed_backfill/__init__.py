"""Backfills that a person asks for: a plan that can be read, gates, progress, audit and rollback."""
