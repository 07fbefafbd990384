"""What a user agent says about browser, system and device, as far as a few names tell it honestly.

A guess helps nobody: what is not recognised stays empty. A user agent is what the client claims; a scanner
that calls itself Chrome is Chrome here. Pure.
"""

from functools import lru_cache
from typing import NamedTuple


class Client(NamedTuple):
    """Names as trackers write them; an empty string is "not known"."""

    browser: str = ""
    os: str = ""
    device_type: str = ""


BOT = Client(device_type="Bot")

# What programs that are no browser call themselves, in lower case. They come first: crawlers add the name of
# the browser that they render with.
_BOT_WORDS = (
    "bot", "crawl", "spider", "slurp", "scan", "inspect", "headless", "monitor", "measurement",
    "curl/", "wget/", "python", "go-http-client", "java/", "okhttp", "libwww", "httpclient", "zgrab", "nmap",
)  # fmt: skip

# The first that is found wins, so names that others carry as well (nearly all say Safari, most say Chrome)
# are last.
_BROWSERS = (
    ("EdgiOS/", "Microsoft Edge"),
    ("EdgA/", "Microsoft Edge"),
    ("Edg/", "Microsoft Edge"),
    ("Edge/", "Microsoft Edge"),
    ("OPR/", "Opera"),
    ("Opera", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("CriOS/", "Chrome iOS"),
    ("FxiOS/", "Firefox iOS"),
    ("Ddg/", "DuckDuckGo"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("MSIE ", "Internet Explorer"),
    ("Trident/", "Internet Explorer"),
)
_SYSTEMS = (
    ("iPhone", "iOS", "Mobile"),
    ("iPad", "iOS", "Tablet"),
    ("Windows Phone", "Windows Phone", "Mobile"),
    ("Android", "Android", "Tablet"),  # a phone also says "Mobile", see `classify`
    ("Windows", "Windows", "Desktop"),
    ("Macintosh", "Mac OS X", "Desktop"),
    ("CrOS", "Chrome OS", "Desktop"),
    ("Linux", "Linux", "Desktop"),
)


@lru_cache(maxsize=4096)
def classify(user_agent: str) -> Client:
    """Name browser, system and device; a program that says it is no browser has the device type ``Bot``."""
    lowered = user_agent.lower()
    if any(word in lowered for word in _BOT_WORDS):
        return BOT
    os, device_type = next(((os, device) for mark, os, device in _SYSTEMS if mark in user_agent), ("", ""))
    if os == "Android" and "Mobile" in user_agent:
        device_type = "Mobile"
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    if not browser and "Version/" in user_agent and "Safari/" in user_agent:
        browser = "Mobile Safari" if os == "iOS" else "Safari"
    return Client(browser, os, device_type)
