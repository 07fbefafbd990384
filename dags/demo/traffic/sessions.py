"""Page views as events: who saw them, in which session, under which identifiers.

A visitor is an address and a user agent. A session is a run of one visitor's page views; it ends when none
follows for 30 minutes, and it is split before it lasts the 24 hours that builds of a day rely on. Only page
views count for both, as with a tracker, which sees no images: so every session has a page view, and a poll
that goes on overnight keeps no session alive.

Where a page view has no referrer but the site itself, it carries the referrer of its session's first page view, as with
a tracker, and a session that began without one is ``$direct``.

Identifiers are functions of the team and what was logged, so the same log gives the same events however often
it is loaded; addresses themselves are not written. They cover the time too: a trace that another day's load
shifts elsewhere is other events in other sessions, not one session that lasts from the one to the other.
Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid5

from dags.demo.traffic.page_views import PageView
from dags.demo.traffic.user_agent import classify
from dags.demo.traffic.vocabulary import DIRECT
from dags.web_preaggregated.tables import MAX_SESSION

# Without a page view for longer than this a session is over: the field's usual limit.
SESSION_GAP = timedelta(minutes=30)
# Drawn once; another value would give every event that was ever loaded another identifier.
NAMESPACE = UUID("6f3c2d0e-58a4-4b7e-9d11-0c8f3a7be254")


class Event(NamedTuple):
    """A row of ``events``; the columns that a log cannot fill are left to their defaults."""

    team_id: int
    uuid: UUID
    event: str
    timestamp: datetime
    distinct_id: str
    person_id: UUID
    session_id: str
    host: str
    pathname: str
    referring_domain: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_term: str
    utm_content: str
    gclid: str
    gad_source: str
    fbclid: str
    browser: str
    os: str
    device_type: str


@dataclass(slots=True)
class _Visitor:
    """A visitor's person and open session; ``at_once`` counts the page views at ``last`` by content."""

    person_id: UUID
    session_id: str
    start: datetime
    last: datetime
    referring_domain: str
    at_once: Counter[str] = field(default_factory=Counter)


def events(page_views: Iterable[PageView], team_id: int, own_domain: str = "") -> Iterator[Event]:
    """Turn page views, in any order, into events in order of time.

    ``own_domain``, with or without ``www.``, is no referrer, nor is the host that a page view names. Page views of one
    visitor, page and second are told apart by their ordinal.
    """
    team = uuid5(NAMESPACE, f"team {team_id}")
    visitors: dict[tuple[str, str], _Visitor] = {}
    for view in sorted(page_views, key=lambda view: view.at):
        is_own = _is_own(view.referring_domain, own_domain) or _is_own(view.referring_domain, view.host)
        referrer = "" if is_own else view.referring_domain
        visitor = _seen(visitors, view, team, referrer or DIRECT)
        content = f"{view.at.isoformat()}\n{view.host}\n{view.pathname}"
        visitor.at_once[content] += 1
        yield Event(
            team_id,
            uuid5(visitor.person_id, f"event\n{content}\n{visitor.at_once[content]}"),
            "$pageview",
            view.at,
            str(visitor.person_id),
            visitor.person_id,
            visitor.session_id,
            view.host,
            view.pathname,
            referrer or visitor.referring_domain,
            *view.campaign,
            *classify(view.user_agent),
        )


def _seen(visitors: dict[tuple[str, str], _Visitor], view: PageView, team: UUID, referring_domain: str) -> _Visitor:
    """Find the visitor of a page view and bring the session up to it; page views come in order of time.

    A session that begins here has this referring domain.
    """
    key = (view.address, view.user_agent)
    visitor = visitors.get(key)
    if visitor is None:
        person_id = uuid5(team, f"visitor\n{view.address}\n{view.user_agent}")
        session_id = _session_id(person_id, view.at)
        visitor = visitors[key] = _Visitor(person_id, session_id, view.at, view.at, referring_domain)
        return visitor
    if view.at - visitor.last > SESSION_GAP or view.at - visitor.start >= MAX_SESSION:
        visitor.session_id, visitor.start = _session_id(visitor.person_id, view.at), view.at
        visitor.referring_domain = referring_domain
    if view.at != visitor.last:
        visitor.last = view.at
        visitor.at_once.clear()
    return visitor


def _session_id(person_id: UUID, start: datetime) -> str:
    return str(uuid5(person_id, f"session\n{start.isoformat()}"))


def _is_own(domain: str, own_domain: str) -> bool:
    return domain.removeprefix("www.") == own_domain.removeprefix("www.")
