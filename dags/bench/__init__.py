"""Prints the figures of this project, each against its peer in the same run: ``make bench``."""
