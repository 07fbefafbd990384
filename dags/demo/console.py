"""What a demo shows while it works."""

from __future__ import annotations

import sys


def step(number: str, what: str) -> None:
    """The title of what comes next."""
    print(f"\n[{number}] {what}", flush=True)


def progress(what: str) -> None:
    """One line that is overwritten in a terminal, and kept in a file."""
    if sys.stdout.isatty():
        print(f"\r\033[K    {what}", end="\n" if "rebuilt" in what else "", flush=True)
    else:
        print(f"    {what}", flush=True)
