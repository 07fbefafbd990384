"""How a day reaches its readers: lease, fence, stage, assemble, compare, swap, read back. Any watched table."""
