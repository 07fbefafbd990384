"""What is wrong with the units of any watched table, and why: signals, verdicts, memory, waivers."""
