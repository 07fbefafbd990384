"""Several servers that hold the same rows: which of them is worked on, what the others hold, and who is alive."""
