"""Finds the (table, team, day) that are missing or wrong, says why, and decides which days to rebuild."""
