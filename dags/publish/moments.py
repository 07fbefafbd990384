"""The moments of a build at which a fault may fall, and what may be asked of a day on its way.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from dags.domain.units import Measure


class Moment(StrEnum):
    """The moments of a build, in their order; a fault may fall on each."""

    LEASED = "leases taken"
    HALF_STAGED = "half inserted"
    STAGED = "everything staged"
    VALIDATED = "before the swap"
    SWAPPED = "swapped, not recorded"
    RECORDED = "table recorded"


@dataclass(frozen=True)
class Swap:
    """A swap that is about to happen: valid, under the lease, and while readers see the old day.

    ``staging`` is what becomes the day; None for a day that is about to be emptied. ``rows`` are those of the old day,
    ``stay`` the teams of whom no row is new. ``keep`` puts the old day's parts into another table in place of what that
    has of the day, as hard links; who was robbed of the lease cannot do it any more.
    """

    table: str
    staging: str | None
    rows: int
    stay: frozenset[int]
    keep: Callable[[str], None]


class Checkpoint:
    """What is asked of a day between staging and swap; this one lets everything pass.

    A day that others write meanwhile is tried again from the start: then all of it is asked once more.
    """

    def held(self, has: Mapping[int, Measure], staged: Mapping[int, Measure]) -> Collection[int]:
        """The teams that keep their rows, beside those that would lose half, from what they have and what was staged.

        Not asked where a build may shrink.
        """
        del has, staged
        return ()

    def may_replace(self) -> None:
        """Before anything of the day is touched, after the numbers of its parts were read: raises what keeps it so."""

    def before_swap(self, swap: Swap) -> None:
        """Told of each swap that is about to happen; what it raises keeps readers on the old day."""
        del swap

    @property
    def leases(self) -> Mapping[str, str]:
        """The leases that must hold beside the day's: their tokens, by name."""
        return {}

    def confirm(self) -> None:
        """Raises where a lease that must hold beside the day's does not hold any more.

        Called just before the swap, and where these were not found to hold after a staging table was made.
        """
