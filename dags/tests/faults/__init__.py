"""Faults on a real server: builds that are killed at every step, a server that is, cut connections, full disks.

`make faults` runs 200 seeded trials and prints the tally; `make soak` runs some of them.
"""
