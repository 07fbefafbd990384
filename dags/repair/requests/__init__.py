"""Which teams the planner has asked for, where they are too many for a run's configuration."""
