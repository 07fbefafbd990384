"""Faults on real servers: builds, backfills and loads that are killed at every step, and servers that are; cut
connections, full disks, sources that change under a load.

`make faults` runs 200 seeded trials and prints the tally; `make soak` runs some of them. `make faults-cluster` does so
on two shards of two replicas, and `make test-cluster` runs some of these.
"""
