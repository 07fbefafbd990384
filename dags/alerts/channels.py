"""Where messages go: the URLs of a setting, as apprise reads them. Nothing is connected here.

A URL holds passwords and tokens. People know a channel by its place in the setting and by the URL's scheme; the memory
knows it by an id that is made of what apprise shows of it when it hides these, and of 16 bits of the whole: what is
hidden may be all that tells two apart, and so few bits tell nobody a password. Whose password changes hears of what is
open once more.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dags.domain.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from dags.settings import Settings

VARIABLE = "WEB_ANALYTICS_ALERT_URLS"


@dataclass(frozen=True)
class Channel:
    """``id`` stays what it is when the order of the URLs changes; ``place`` counts from 1."""

    id: str
    place: int
    scheme: str
    url: SecretStr

    def __str__(self) -> str:
        return f"channel {self.place} ({self.scheme})"


def read_channels(settings: Settings) -> tuple[Channel, ...]:
    """The channels that the setting names, in its order. Read once a process, which takes apprise a third of a second.

    Raises:
        SettingsError: some URLs are none that apprise can send to; they are named by their places, and not shown.
    """
    return _read(settings.alert_urls) if settings.alert_urls else ()


@cache
def _read(urls: tuple[SecretStr, ...]) -> tuple[Channel, ...]:
    shown = [_shown(url.get_secret_value()) for url in urls]
    if bad := [str(place) for place, one in enumerate(shown, start=1) if one is None]:
        raise SettingsError(
            f"{VARIABLE} is not usable, number {', '.join(bad)}: give URLs that apprise can send to, separated by "
            "blanks or line ends (apprise --details lists which there are)"
        )
    found, seen = [], Counter[str]()
    for place, (url, text) in enumerate(zip(urls, shown, strict=True), start=1):
        alike = f"{_digest(str(text))[:12]}{_digest(url.get_secret_value())[:4]}"
        seen[alike] += 1
        name = alike if seen[alike] == 1 else f"{alike}-{seen[alike]}"
        found.append(Channel(name, place, urlsplit(url.get_secret_value()).scheme, url))
    return tuple(found)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _shown(url: str) -> str | None:
    """What apprise shows of a URL, without its secrets and its options; None if it can do nothing with it."""
    import apprise  # noqa: PLC0415 -- its 140 plug-ins are read where somebody has channels, and not else

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # what it says of a bad URL shows parts of it
    service = apprise.Apprise.instantiate(url)
    if service is None:
        return None
    shown: str = service.url(privacy=True)  # type: ignore[no-untyped-call]
    return shown.partition("?")[0]
