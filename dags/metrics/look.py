"""The last answer to whether all is well, as it may be told later: unknown once it is old, and never a stale OK.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# The words that there are for it, as `dags.health.causes.Answer` has them.
UNKNOWN = "UNKNOWN"
VERDICTS = ("OK", "REPAIRING", "NEEDS YOU", UNKNOWN)

# Somebody looks every hour; of two looks that were missed nobody knows what they would have seen.
LASTS = timedelta(hours=2)


@dataclass(frozen=True)
class Look:
    """What was answered, and when, by the clock of the host that looked; ``at`` is None where nobody ever did."""

    verdict: str = UNKNOWN
    at: datetime | None = None

    def as_told(self, now: datetime, *, skew: timedelta, is_known: bool) -> Look:
        """What may be said of it now. ``is_known``: the tables could be read since; where they cannot, nothing is.
        ``skew``: so far ahead another host's clock may be; what is stamped later is not believed.
        """
        if not is_known:
            return Look(UNKNOWN, now)
        is_of_now = self.at is not None and -skew <= now - self.at <= LASTS
        return self if is_of_now else Look(UNKNOWN, self.at)

    def as_document(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"verdict": self.verdict, "at": self.at.isoformat() if self.at is not None else None}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Look:
        """What `as_document` has written.

        Raises:
            KeyError, TypeError, ValueError: it is no such document.
        """
        verdict, at = document["verdict"], document["at"]
        if verdict not in VERDICTS:
            raise ValueError(f"the verdict is {verdict!r}, and none of {', '.join(VERDICTS)}")
        return cls(verdict, datetime.fromisoformat(at) if at is not None else None)
