"""Work that a person asks for: its events, documents and notices, and the end of runs that died."""
