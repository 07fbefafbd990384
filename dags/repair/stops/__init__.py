"""The switch by which a person stops every backfill at once."""
