"""Tells a host of the user's what a backfill does. That it cannot be told never stops a backfill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A host that is slower than this holds the backfill up; it is told three times at most.
SECONDS = 5.0
RETRIES = Retry(
    total=2, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None, redirect=0
)


def notify(url: str, token: str, message: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    """Post ``message`` as JSON. Redirects are not followed, for they may lead to a host that nobody allowed.

    ``token`` goes into the header ``Authorization`` and nowhere else. A failure is told in words, without the address's
    path, and is no error.
    """
    if not url:
        return
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with requests.Session() as session:
            session.mount("http://", HTTPAdapter(max_retries=RETRIES))
            session.mount("https://", HTTPAdapter(max_retries=RETRIES))
            answer = session.post(url, json=message, headers=headers, timeout=SECONDS, allow_redirects=False)
        if not answer.ok or answer.is_redirect:
            tell(f"the webhook answered {answer.status_code}; the backfill goes on")
    except requests.RequestException as error:
        tell(f"the webhook could not be told ({type(error).__name__}); the backfill goes on")
