"""What happened to every backfill: who, why, what and when. Only ever appended to."""
