"""Tells a host of the user's how work goes on. That it cannot be told never ends the work, nor holds it up."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# For the whole of a message: starting the child, resolving the name, connecting, all tries. Chosen: a host on the
# same network answers in milliseconds, and a chunk of work takes seconds to hours.
SECONDS = 10.0

# After so many failures in a row only the end is told, or a dead host would cost work of 100 chunks 1,000 s.
FAILURES = 3

_CHILD = Path(__file__).with_name("post.py")


@dataclass
class Webhook:
    """The host that hears of one piece of work. Without a ``url`` it says nothing.

    ``token`` goes into the header ``Authorization`` and nowhere else; ``tell`` gets what went wrong in words, without
    the token and without the address, whose path may be a secret too.
    """

    url: str
    token: str
    tell: Callable[[str], None]
    seconds: float = SECONDS
    _failures: int = 0

    def notify(self, message: Mapping[str, Any]) -> None:
        """Post ``message`` as JSON; one without a ``chunk`` is that of the end. Raises nothing."""
        if not self.url or (self._failures >= FAILURES and message.get("chunk")):
            return
        try:
            found = self._posted(message)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the work goes on
            found = type(error).__name__
        if found.isdecimal() and 200 <= int(found) < 300:  # noqa: PLR2004 -- HTTP's own
            self._failures = 0
            return
        self._failures += 1
        words = f"answered {found}" if found.isdecimal() else f"could not be told ({found})"
        rest = "; it is told of the end and of nothing before" if self._failures == FAILURES else ""
        self.tell(f"the webhook {words}; the work goes on{rest}")

    def _posted(self, message: Mapping[str, Any]) -> str:
        """The status of the answer, or the kind of the failure."""
        asked = {"url": self.url, "token": self.token, "message": message, "seconds": self.seconds}
        try:
            # -P: the directory of the file holds modules of ours whose names others have too.
            child = subprocess.run(  # noqa: S603 -- our own file
                [sys.executable, "-P", str(_CHILD)],
                input=json.dumps(asked),
                capture_output=True,
                text=True,
                timeout=self.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {self.seconds:g} s"
        return child.stdout.strip() or "the process that tells it failed"
