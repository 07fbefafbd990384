"""What happened to all work: who, why, what and when. Only ever appended to."""
