"""The page as a real browser shows it: it asks nobody for anything, fits a phone, and has two themes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dags.health.page import html_page
from dags.tests.browser import BROWSER_VARIABLE, BrowserError, running_browser, skip_reason
from dags.tests.health.shown import busy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(skip_reason()), reason=skip_reason())]

HOSTILE = (
    "<script>document.title='owned'</script><img src=http://192.0.2.1/x onerror=alert(1)>\"' \u202e" + "x" * 10_000
)

# Elements that reach out of the window, but for those within a part that scrolls by itself.
WIDE = """() => [...document.querySelectorAll('body *')].filter(one => !one.closest('.scroll')
  && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(one => one.outerHTML)"""

# How much lighter text is than what is behind it, of badges and of words on cards, as WCAG counts it.
CONTRAST = """() => { const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b }
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor
    if (c !== 'rgba(0, 0, 0, 0)') return c } return 'rgb(255, 255, 255)' }
  return [...document.querySelectorAll('.badge, h1, h3, p, dt, dd, code, caption, .list th, .list td, .grid td[title]')]
    .filter(e => e.textContent.trim()).map(e => { const a = light(getComputedStyle(e).color), b = light(behind(e))
    return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) }).reduce((a, b) => Math.min(a, b)) }"""


@dataclass
class Seen:
    """What a browser has of a page."""

    width: int = 0
    wide: list[str] = field(default_factory=list)
    background: str = ""
    contrast: float = 0.0
    title: str = ""
    heading: str = ""
    commands: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as started:
        yield started


def seen(browser: Browser, path: Path, text: str, width: int, **more: Any) -> Seen:
    path.write_text(text, encoding="utf-8")
    found = Seen()
    with browser.new_context(viewport={"width": width, "height": 740}, **more) as context:
        page = context.new_page()
        page.on("request", lambda request: found.requests.append(request.url))
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_load_state("networkidle")
        found.width = page.evaluate("document.documentElement.scrollWidth")
        found.wide = page.evaluate(WIDE)
        found.background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        found.contrast = page.evaluate(CONTRAST)
        found.title, found.heading = page.title(), page.inner_text("h1")
        found.commands = page.locator("pre code").all_inner_texts()
    return found


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("word", ["disks were full", HOSTILE], ids=["plain", "hostile"])
def test_a_page_asks_nobody_for_anything_and_fits_the_window(
    browser: Browser, tmp_path: Path, word: str, width: int
) -> None:
    path, health = tmp_path / "page.html", busy(word)
    found = seen(browser, path, html_page(health), width)
    assert [one for one in found.requests if not one.startswith("data:")] == [path.as_uri()]
    assert found.said == []
    assert (found.width, found.wide) == (width, [])
    assert found.title == "NEEDS YOU: 8 need you, 1 is within its target, 3 are only noted"
    assert found.heading == "NEEDS YOU"
    assert found.commands == [command for cause in health.causes for command in cause.commands]


def test_both_themes_can_be_read_and_are_two(browser: Browser, tmp_path: Path) -> None:
    text = html_page(busy())
    light, dark = (seen(browser, tmp_path / "page.html", text, 1280, color_scheme=one) for one in ("light", "dark"))
    assert (light.background, dark.background) == ("rgb(255, 255, 255)", "rgb(18, 22, 28)")
    assert min(light.contrast, dark.contrast) >= 4.5


def test_what_a_browser_sees_is_seen_here_as_well(browser: Browser, tmp_path: Path) -> None:
    # Shows that the tests above can fail: each of these is in no page.
    bad = "<title>t</title><h1>h</h1><p style='width:9999px;color:#777;background:#888'>w</p>"
    bad += "<script>console.log('said')</script><img src='http://127.0.0.1:9/x.png'>"
    found = seen(browser, tmp_path / "page.html", bad, 360)
    assert found.width > 360
    assert len(found.wide) == 1
    assert found.contrast < 4.5
    assert "http://127.0.0.1:9/x.png" in found.requests
    assert "said" in found.said


def test_a_browser_that_the_environment_names_and_that_is_not_there_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(BROWSER_VARIABLE, str(tmp_path / "none"))
    assert skip_reason() == ""
    with pytest.raises(BrowserError, match="none', which is no program"), running_browser():
        pass
