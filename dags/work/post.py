"""Posts one message and prints what came of it. The child of `webhook.py`, started as a file and not imported.

Reads a document from its standard input: ``url``, ``token``, ``message``, ``seconds``. Prints the status of the answer,
or the kind of the failure, in one word. It is a process of its own because only a process can be ended at a deadline
whatever it waits for (a name, a handshake, a header that trickles in), and because whatever a host sends, endless
headers or gigabytes of body, then costs the run neither memory nor time.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import closing
from typing import Any

import requests
from requests.adapters import HTTPAdapter

TRIES = 3
PAUSE_SECONDS = 0.5
WORTH_ANOTHER_TRY = (429, 500, 502, 503, 504)


def post(url: str, token: str, message: object) -> str:
    """What came of it, after up to `TRIES` tries.

    The adapter is asked and not a session: a session reads the whole body of a redirect though it does not follow it,
    takes passwords from ``.netrc``, and obeys ``Retry-After``. Proxies and certificates are those of the environment.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = requests.Request("POST", url, json=message, headers=headers).prepare()
    found = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        with requests.Session() as session, closing(HTTPAdapter()) as adapter:
            around: dict[str, Any] = dict(session.merge_environment_settings(request.url, {}, True, None, None))
            try:
                answer = adapter.send(request, **around)
            except requests.ConnectionError as error:
                found = type(error).__name__
                continue
            answer.close()
        found = str(answer.status_code)
        if answer.status_code not in WORTH_ANOTHER_TRY:
            break
    return found


def main() -> None:
    asked = json.load(sys.stdin)
    # Should the parent be killed meanwhile, nobody else ends this process.
    signal.alarm(int(asked["seconds"]) + 1)
    try:
        found = post(asked["url"], asked["token"], asked["message"])
    except Exception as error:  # noqa: BLE001 -- its words may hold the token or the address; its kind does not
        found = type(error).__name__
    print(found)


if __name__ == "__main__":
    main()
