"""Sends messages to channels and prints of each what came of it. The child of `deliver.py`, started as a file.

Reads a document from its standard input: ``channels``, each with its ``url`` and ``messages``, and ``seconds``. Prints
as soon as a message is sent one line of JSON: which channel, by its number from 0, and ``taken``, or why not. It is a
process of its own because only a process can be ended at a deadline whatever it waits for, and because whatever a
service's plug-in says, loads or leaves behind then stays in here. It is one for all channels, because reading the
plug-ins is most of its work; each channel has a thread, so that none waits for another.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from threading import Lock, Thread
from typing import Any

import apprise

# Seconds between two messages. By itself apprise waits for up to 5.5, so that a few mails would take half a minute;
# that is for who sends all day, and here it is a handful each five minutes.
PAUSE_SECONDS = 1.0

_printing = Lock()


def told(service: Any, message: dict[str, str]) -> str:  # noqa: ANN401 -- a plug-in's
    """What came of a message: ``taken``, or the status that was answered, or no more than that it was not taken.

    Of what apprise writes down the status alone is read: the rest is a hundred plug-ins' words, and may hold a secret.
    """
    alone = apprise.Apprise(service, asset=service.asset)
    found = alone.notify(
        body=message["body"], title=message["subject"], notify_type=message["tone"], body_format="text"
    )
    # A URL with `optional=yes` is said to have taken whatever it was sent; its last attempt says what is so.
    attempts = [attempt for one in found.results for attempt in one.attempts][-1:]
    if attempts and attempts[0]:
        return "taken"
    statuses = re.findall(r"error=(\d{3})\b", " ".join(entry.message for attempt in attempts for entry in attempt.logs))
    return f"it answered {statuses[-1]}" if statuses else "it could not be reached, or refused"


def tell(number: int, service: Any, messages: list[dict[str, str]]) -> None:  # noqa: ANN401 -- as above
    """Send a channel's messages, one after the other."""
    for message in messages:
        try:
            found = told(service, message)
        except Exception as error:  # noqa: BLE001 -- its words may hold the URL; its kind does not
            found = type(error).__name__
        with _printing:
            print(json.dumps([number, found]), flush=True)


def main() -> None:
    asked = json.load(sys.stdin)
    # Should the parent be killed meanwhile, nobody else ends this process.
    signal.alarm(int(asked["seconds"]) + 1)
    asset = apprise.AppriseAsset(
        app_id="Web analytics",
        app_desc="Web analytics alerts",
        storage_mode="memory",
        async_mode=False,
        interpret_emojis=False,
        service_timeout=0,  # else it has a few threads for all, which slow channels would keep from the others
    )
    threads = []
    for number, channel in enumerate(asked["channels"]):
        service: Any = apprise.Apprise.instantiate(channel["url"], asset=asset)
        service.request_rate_per_sec = min(service.request_rate_per_sec, PAUSE_SECONDS)  # seconds, despite its name
        threads.append(Thread(target=tell, args=(number, service, channel["messages"])))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os._exit(0)  # whatever a plug-in has left running


if __name__ == "__main__":
    main()
