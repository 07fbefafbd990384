"""Is all well? One verdict, for a terminal, the UI, checks and alerts alike."""
