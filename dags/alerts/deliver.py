"""Sends messages to all channels at once, by a process that is ended in time: a dead channel holds up no other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dags.alerts.channels import Channel
    from dags.alerts.messages import Message

# For all channels together, the start of the process among it, which takes half a second of processor.
SECONDS = 12.0

_CHILD = Path(__file__).with_name("send.py")

_TAKEN = "taken"

_Lines = Queue["str | None"]


@dataclass(frozen=True)
class Outcome:
    """What came of one message: why a channel did not take it, empty if it did."""

    channel: Channel
    message: Message
    why: str


def deliver(asked: Mapping[Channel, Sequence[Message]], seconds: float = SECONDS) -> Iterator[Outcome]:
    """What comes of each message, as soon as it is known, and of all after ``seconds``.

    What a channel took and did not say so in time counts as not taken, and may be sent to it again.

    Raises:
        OSError: no process can be started.
    """
    until, lines = time.monotonic() + seconds, _Lines()
    left = {channel: list(messages) for channel, messages in asked.items()}
    child = _started(asked, seconds, lines)
    why = f"no answer within {seconds:g} s"
    try:
        while any(left.values()):
            try:
                line = lines.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                break
            if line is None:
                why = "the process that sends has ended"
                break
            number, found = json.loads(line)
            channel = [*left][number]
            yield Outcome(channel, left[channel].pop(0), "" if found == _TAKEN else found)
        for channel, messages in left.items():
            yield from (Outcome(channel, message, why) for message in messages)
    finally:
        child.kill()
        child.wait()


def _started(asked: Mapping[Channel, Sequence[Message]], seconds: float, lines: _Lines) -> subprocess.Popen[str]:
    # URLs go by the standard input: whoever lists processes sees their arguments.
    document = json.dumps(
        {
            "channels": [
                {
                    "url": channel.url.get_secret_value(),
                    "messages": [{"subject": one.subject, "body": one.body, "tone": str(one.tone)} for one in messages],
                }
                for channel, messages in asked.items()
            ],
            "seconds": seconds,
        }
    )
    # -P: the directory of the file holds modules of ours whose names others have too.
    child = subprocess.Popen(  # noqa: S603 -- our own file
        [sys.executable, "-P", str(_CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    Thread(target=_listen, args=(child, document, lines), daemon=True).start()
    return child


def _listen(child: subprocess.Popen[str], document: str, lines: _Lines) -> None:
    """Hand the child its work, and pass on what it says, line by line; None at its end, however it comes to it."""
    try:
        with suppress(OSError), child.stdin as asked, child.stdout as said:  # type: ignore[union-attr]
            asked.write(document)
            asked.close()
            for line in said:
                lines.put(line)
    finally:
        lines.put(None)
