"""Cuts what is too much at once into parts.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

One = TypeVar("One")


def batched(items: Sequence[One], size: int) -> Iterator[Sequence[One]]:
    """So many of the items at a time, in their order. `itertools` has it from Python 3.12 on."""
    return (items[start : start + size] for start in range(0, len(items), size))
