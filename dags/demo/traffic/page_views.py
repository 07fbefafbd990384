"""Which hits are page views, of which site, and why the others are not.

A page view is a GET that was answered 2xx or 304 and whose path is a page: its last segment has no extension,
or one that servers make pages with (``html``, ``php``, ...). Images, scripts, styles, fonts, media, feeds,
``robots.txt``, other files and everything below a name with a leading dot are none. A log does not say what
was answered, so an API without extensions counts as pages, and a page named ``/john.doe`` does not.

Bots are traffic like any other: they fetch pages, and most do not say that they are bots. Those that do carry
``device_type`` "Bot", so that a reader can leave them out. Pure.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote_plus, urlsplit

from dags.demo.traffic.access_log import Hit, Rubbish, RubbishKind

PAGE_EXTENSIONS = frozenset({
    "", "html", "htm", "xhtml", "shtml", "php", "phtml", "asp", "aspx", "jsp", "jspx", "cfm", "cgi", "pl",
})  # fmt: skip
# What pages are dressed with. Only the pages of a site load its scripts, styles and fonts, see `own_domain`.
DRESS_EXTENSIONS = frozenset({"js", "mjs", "css", "map", "woff", "woff2", "ttf", "otf", "eot"})
MEDIA_EXTENSIONS = frozenset({
    "gif", "jpg", "jpeg", "png", "webp", "avif", "bmp", "ico", "svg", "xbm", "tif", "tiff",
    "mp3", "mp4", "mpg", "mpeg", "mov", "avi", "wav", "au", "ogg", "webm", "swf",
})  # fmt: skip
FEED_NAMES = frozenset({"robots.txt", "feed", "rss", "atom", "rss.xml", "atom.xml", "feed.xml"})
NOT_MODIFIED = 304

# Sample lines of rubbish that are kept for each kind: enough to recognise it.
SAMPLES_PER_KIND = 2


class Skip(StrEnum):
    """Why a hit is no page view, the first reason that applies. The value is what a report prints."""

    METHOD = "method is not GET"
    INFORMATION = "answered 1xx"
    REDIRECT = "answered 3xx other than 304"
    CLIENT_ERROR = "answered 4xx"
    SERVER_ERROR = "answered 5xx"
    NO_PATH = "target is not a path"
    DRESS = "script, style or font"
    MEDIA = "image, sound or film"
    FEED = "feed, robots.txt or sitemap"
    OTHER_FILE = "another kind of file"


class Campaign(NamedTuple):
    """What the query string says about where a visitor came from; the first value of each name, decoded."""

    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_term: str = ""
    utm_content: str = ""
    gclid: str = ""
    gad_source: str = ""
    fbclid: str = ""


class PageView(NamedTuple):
    """A page that a visitor got. ``referring_domain`` may be the site's own, see ``SiteLog.own_domain``."""

    at: datetime
    address: str
    user_agent: str
    host: str
    pathname: str
    referring_domain: str
    campaign: Campaign


NO_CAMPAIGN = Campaign()
_SKIP_BY_STATUS_CLASS = {1: Skip.INFORMATION, 3: Skip.REDIRECT, 4: Skip.CLIENT_ERROR, 5: Skip.SERVER_ERROR}


def judge(hit: Hit) -> PageView | Skip:
    """Say whether a hit is a page view; the path is kept as logged, without query string and fragment."""
    if hit.method != "GET":
        return Skip.METHOD
    if hit.status // 100 in _SKIP_BY_STATUS_CLASS and hit.status != NOT_MODIFIED:
        return _SKIP_BY_STATUS_CLASS[hit.status // 100]
    host, path, query = _split_target(hit.target)
    if not path.startswith("/"):
        return Skip.NO_PATH
    reason = _not_a_page(path)
    if reason is not None:
        return reason
    referring_domain, campaign = domain_of(hit.referrer), campaign_of(query)
    return PageView(hit.at, hit.address, hit.user_agent, host or hit.host, path, referring_domain, campaign)


def domain_of(url: str) -> str:
    """Name the domain of a web address, in lower case and without port; empty for anything else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in {"http", "https"} else None
    except ValueError:
        return ""
    return host or ""


def campaign_of(query: str) -> Campaign:
    """Read utm_* and click ids of a query string; a value that decodes to unprintable text stays encoded."""
    if not any(mark in query for mark in ("utm_", "clid=", "gad_source=")):
        return NO_CAMPAIGN
    found: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name in Campaign._fields and value:
            decoded = unquote_plus(value)
            found.setdefault(name, decoded if decoded.isprintable() else value)
    return Campaign(**found)


def _split_target(target: str) -> tuple[str, str, str]:
    """Split a request target into host, path and query; only a request to a proxy names the host."""
    host = ""
    if target.startswith(("http://", "https://")):
        host = domain_of(target)
        _, slash, rest = target.partition("://")[2].partition("/")
        target = slash + rest
    path, _, query = target.partition("#")[0].partition("?")
    return host, path, query


def _not_a_page(path: str) -> Skip | None:
    if "/." in path:
        return Skip.OTHER_FILE
    name = path.rstrip("/").rpartition("/")[2].partition(";")[0].lower()
    if name in FEED_NAMES or (name.startswith("sitemap") and name.endswith(".xml")):
        return Skip.FEED
    extension = "" if path.endswith("/") else name.rpartition(".")[2] if "." in name else ""
    if extension in PAGE_EXTENSIONS:
        return None
    if extension in DRESS_EXTENSIONS:
        return Skip.DRESS
    return Skip.MEDIA if extension in MEDIA_EXTENSIONS else Skip.OTHER_FILE


@dataclass(slots=True)
class SiteLog:
    """What one site's log holds. Filled by ``read_site``; every line is in exactly one of the three counts.

    Holds the page views (0.3 to 0.5 kB each, measured) and a few counters; not the lines.
    """

    lines: int = 0
    page_views: list[PageView] = field(default_factory=list)
    rubbish: Counter[RubbishKind] = field(default_factory=Counter)
    samples: list[Rubbish] = field(default_factory=list)
    skipped: Counter[Skip] = field(default_factory=Counter)
    last_hit_by_day: dict[date, datetime] = field(default_factory=dict)
    dress_referrers: Counter[str] = field(default_factory=Counter)

    def add(self, other: "SiteLog") -> None:
        """Take in another log of the same site, which goes on where this one ends or earlier."""
        self.lines += other.lines
        self.page_views += other.page_views
        for sample in other.samples:
            if sum(one.kind is sample.kind for one in self.samples) < SAMPLES_PER_KIND:
                self.samples.append(sample)
        self.rubbish.update(other.rubbish)
        self.skipped.update(other.skipped)
        self.dress_referrers.update(other.dress_referrers)
        for day, at in other.last_hit_by_day.items():
            self.last_hit_by_day[day] = max(at, self.last_hit_by_day.get(day, at))

    @property
    def own_domain(self) -> str:
        """The site's own domain, told by the pages that load its scripts, styles and fonts, or else empty.

        A log names the domains that refer to the site, its own among them, and not which is its own. Images
        do not tell, since other sites show them too. Of domains that are level the first in the alphabet
        counts.
        """
        level = sorted(self.dress_referrers.items(), key=lambda item: (-item[1], item[0]))
        return level[0][0] if level else ""


def read_site(lines: Iterable[Hit | Rubbish]) -> SiteLog:
    """Sort what a log holds into page views, hits that are none by reason, and rubbish by kind.

    Every hit, whatever it was answered, is a sign that the log was running: ``last_hit_by_day`` is for
    ``shift``.
    """
    log = SiteLog()
    for part in read_sites(lines).values():
        log.add(part)
    return log


def read_sites(lines: Iterable[Hit | Rubbish]) -> dict[str, SiteLog]:
    """The same by the site that a hit names, without ``www.``; "" are hits that name none, and all rubbish."""
    logs: dict[str, SiteLog] = {}
    for entry in lines:
        host = "" if isinstance(entry, Rubbish) else entry.host.removeprefix("www.")
        log = logs.get(host) or logs.setdefault(host, SiteLog())
        log.lines += 1
        if isinstance(entry, Rubbish):
            log.rubbish[entry.kind] += 1
            if log.rubbish[entry.kind] <= SAMPLES_PER_KIND:
                log.samples.append(entry)
            continue
        day = entry.at.date()
        log.last_hit_by_day[day] = max(entry.at, log.last_hit_by_day.get(day, entry.at))
        judged = judge(entry)
        if isinstance(judged, PageView):
            log.page_views.append(judged)
            continue
        log.skipped[judged] += 1
        if judged is Skip.DRESS and (domain := domain_of(entry.referrer)):
            log.dress_referrers[domain] += 1
    return logs
