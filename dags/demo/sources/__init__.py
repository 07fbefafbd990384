"""Late data from end to end: what lies in another database is loaded, found by the detector, repaired, and read."""
