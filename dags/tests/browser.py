"""A real browser for tests: the one that is installed, driven by Playwright, which brings none that could be fetched.

The first of these is taken: what WEB_ANALYTICS_TEST_BROWSER names, which then has to work; Chromium or Chrome on PATH.
GitHub's runners have Chrome; on Debian it is `apt-get install chromium`.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

# Names the program of a browser of Chromium's kind. It wins over what is found.
BROWSER_VARIABLE = "WEB_ANALYTICS_TEST_BROWSER"

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# It asks nobody for updates and the like, so what goes out is the page's; and as root it runs in a container only so.
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip


class BrowserError(Exception):
    """No browser could be had."""


def program() -> str | None:
    return os.environ.get(BROWSER_VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)


def skip_reason() -> str:
    """Why tests can have no browser here; empty if they can, or if the environment names one, which has to work."""
    return "" if program() else f"no {', '.join(NAMES)} on PATH, and {BROWSER_VARIABLE} names none"


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A browser without a window, which ends with the block.

    Raises:
        BrowserError: what the environment names is no program.
    """
    if not shutil.which(found := program() or ""):
        raise BrowserError(f"{BROWSER_VARIABLE} is {found!r}, which is no program: name Chromium, or unset it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
