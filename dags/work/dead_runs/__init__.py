"""Runs whose process is dead are ended in Dagster, so that they hold no place in its queue."""
