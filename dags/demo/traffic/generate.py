"""Seeded traffic that looks like that of real sites: for demos, tests and benchmarks without a log at hand.

Every draw is a hash of seed, team, day, session and what is drawn, not the next number of a stream. So a
team's day is the same whichever other teams and days are generated with it, in whichever batches, and whole
arrays are drawn at once. A session belongs to the day that it starts on and may run on into the next one.

Believable, not calibrated: a few sites have most of the traffic, a few pages most of a site's views, visitors
return, half of the sessions see one page. On purpose it also holds what readers get wrong: sessions across
midnight, events without a session, sessions without a pageview, screens, and events that arrived twice. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pandas as pd

from dags.demo.traffic.vocabulary import CHANNELS, DEVICES, PAGES, PLACES

Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Events in an average session, for sizing: measured over 200,000 sessions; a test keeps it true.
EVENTS_PER_SESSION = 5.0

# Shares of all sessions: chosen, so that each kind is met in a demo of some thousand sessions.
ONE_PAGE, ON_SCREENS, WITHOUT_VIEW, WITHOUT_SESSION_ID = 0.55, 0.03, 0.02, 0.02
# Share of events that arrive twice, and of pages that are left with a $pageleave.
TWICE, LEFT = 0.005, 0.7

# A session's pages and a page's autocaptures follow geometric distributions with these odds of one more.
NEXT_PAGE, NEXT_CAPTURE, CAPTURE_ON_ONE_PAGE = 0.6, 0.45, 0.15
MAX_PAGES, MAX_CAPTURES = 30, 5
# Seconds on a page. 30 pages of 25 minutes stay below the 24 hours that a session may last.
MEAN_DWELL_SECONDS, MAX_DWELL_SECONDS = 40.0, 1500.0

# Relative traffic by hour of a site's own day, and by weekday from Monday.
HOURS = (3, 2, 1, 1, 1, 2, 4, 7, 11, 14, 15, 15, 14, 15, 16, 15, 14, 13, 12, 13, 13, 11, 8, 5)
WEEKDAYS = (1.1, 1.15, 1.15, 1.1, 1.0, 0.75, 0.75)
# A site's day begins 0 to 8 hours after midnight UTC: from Greenwich to the west of America. So evenings meet
# midnight UTC, and the sum of all sites still has a rhythm.
TIME_ZONES = 9

EVENTS = ("$pageview", "$screen", "$autocapture", "$pageleave")
_PAGEVIEW, _SCREEN, _AUTOCAPTURE, _PAGELEAVE = range(4)
SECOND = 1_000_000  # in microseconds, as `events` keeps time


@dataclass(frozen=True, slots=True)
class Site:
    """A team and how many sessions it has on an average day."""

    team_id: int
    sessions_per_day: float


def sites(count: int, events_per_day: float, first_team_id: int = 1) -> tuple[Site, ...]:
    """Share out about ``events_per_day`` among teams, of which the nth gets 1/n of what the first gets.

    Raises:
        ValueError: there is no team or no event to share out.
    """
    if count < 1 or events_per_day <= 0:
        raise ValueError(f"{count} teams, {events_per_day} events a day: give at least one team and one event")
    first = events_per_day / EVENTS_PER_SESSION / sum(1 / rank for rank in range(1, count + 1))
    return tuple(Site(first_team_id + rank - 1, first / rank) for rank in range(1, count + 1))


@dataclass(frozen=True, slots=True)
class Traffic:
    """What to generate: the sessions that start on the UTC days of ``[start, end)``, cut off at ``end``.

    Raises:
        ValueError: the range is empty, or a team is there twice.
    """

    sites: tuple[Site, ...]
    start: date
    end: date
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.start >= self.end:
            raise ValueError(f"no day in [{self.start}, {self.end}): give a start before the end")
        if len({site.team_id for site in self.sites}) < len(self.sites):
            raise ValueError("a team is there twice: give each team one site")


def generate(traffic: Traffic, batch_sessions: int = 50_000) -> Iterator[pd.DataFrame]:
    """Yield rows of ``events``, a day at a time, in batches of sessions.

    Rows stand by session, not by time. Frames have strings (uuids too), UTC timestamps and the columns of
    ``events``, except ``inserted_at``; a day without sessions yields none.
    """
    for offset in range((traffic.end - traffic.start).days):
        day = traffic.start + timedelta(days=offset)
        site, ordinal = _starts(traffic, day)
        for first in range(0, len(site), batch_sessions):
            batch = slice(first, first + batch_sessions)
            frame = _frame(_sessions(traffic, site[batch], ordinal[batch], day), day, traffic.end)
            if not frame.empty:
                yield frame


@dataclass(frozen=True, slots=True)
class _Sessions:
    """One entry a session; ``start`` is in microseconds of the day."""

    team_id: Ints
    key: Keys
    person: Keys
    start: Ints
    pages_of_site: Ints


def _starts(traffic: Traffic, day: date) -> tuple[Ints, Ints]:
    """Draw how many sessions start on a day: for each, the index of its site and its number in the site."""
    team_ids = np.array([site.team_id for site in traffic.sites], dtype=np.uint64)
    means = np.array([site.sessions_per_day for site in traffic.sites]) * WEEKDAYS[day.weekday()]
    keys = _keyed(_team_keys(team_ids, traffic.seed), day.toordinal())
    counts = (means * (0.8 + 0.4 * _draw(keys, "busy day")) + _draw(keys, "fraction")).astype(np.int64)
    return np.repeat(np.arange(len(team_ids)), counts), _within(counts)


def _sessions(traffic: Traffic, site: Ints, ordinal: Ints, day: date) -> _Sessions:
    team_ids = np.array([each.team_id for each in traffic.sites], dtype=np.uint64)
    team_keys = _team_keys(team_ids, traffic.seed)
    key = _keyed(_keyed(team_keys, day.toordinal())[site], ordinal.astype(np.uint64))
    # Squared, so that some visitors come often and most seldom.
    public = np.maximum(3, np.array([4 * each.sessions_per_day for each in traffic.sites]))[site]
    visitor = (public * _draw(key, "visitor") ** 2).astype(np.uint64)
    bounds = np.concatenate([[0.0], np.cumsum(HOURS) / sum(HOURS)])
    west = np.floor(TIME_ZONES * _draw(team_keys, "zone"))[site]
    hour = west + np.interp(_draw(key, "start"), bounds, np.arange(25.0))
    pages_of_site = (20 + (len(PAGES) - 20) * _draw(team_keys, "pages")).astype(np.int64)
    return _Sessions(
        team_id=team_ids.astype(np.int64)[site],
        key=key,
        person=_keyed(_keyed(team_keys, crc32(b"person"))[site], visitor),
        start=((hour % 24) * 3600 * SECOND).astype(np.int64),
        pages_of_site=pages_of_site[site],
    )


def _frame(sessions: _Sessions, day: date, end: date) -> pd.DataFrame:
    """Lay out the pages of the sessions, then the events of the pages, and look up what they carry."""
    is_one_page = _draw(sessions.key, "one page") < ONE_PAGE
    pages = np.where(is_one_page, 1, np.minimum(MAX_PAGES, 2 + _geometric(sessions.key, "pages", NEXT_PAGE)))
    session_of_page, page_number = np.repeat(np.arange(len(pages)), pages), _within(pages)
    page_key = _keyed(sessions.key[session_of_page], page_number.astype(np.uint64))
    seconds = np.minimum(MAX_DWELL_SECONDS, 1 - MEAN_DWELL_SECONDS * np.log1p(-_draw(page_key, "dwell")))
    # Whole microseconds: a sum of fractions would depend on which sessions are in the batch.
    dwell = (seconds * SECOND).astype(np.int64)
    before = np.cumsum(dwell) - dwell
    before -= np.repeat(before[page_number == 0], pages)

    odds = np.where(is_one_page, CAPTURE_ON_ONE_PAGE, NEXT_CAPTURE)[session_of_page]
    captures = np.minimum(MAX_CAPTURES, _geometric(page_key, "captures", odds))
    counts = 1 + captures + (_draw(page_key, "leave") < LEFT)
    page, number = np.repeat(np.arange(len(counts)), counts), _within(counts)
    key = _keyed(page_key[page], number.astype(np.uint64))
    is_capture = number <= captures[page]
    moment = np.where(number == 0, 0.0, np.where(is_capture, _draw(key, "moment"), 0.999))

    session = session_of_page[page]
    elapsed = sessions.start[session] + before[page] + (moment * dwell[page]).astype(np.int64)
    at = np.datetime64(day, "us") + elapsed.astype("timedelta64[us]")
    kept = np.flatnonzero(at < np.datetime64(end, "us"))
    kept = np.concatenate([kept, kept[_draw(key[kept], "twice") < TWICE]])
    page, session, number = page[kept], session[kept], number[kept]

    opens = np.where(_draw(sessions.key, "screens") < ON_SCREENS, _SCREEN, _PAGEVIEW)
    opens = np.where(_draw(sessions.key, "without view") < WITHOUT_VIEW, _AUTOCAPTURE, opens)
    event = np.where(number == 0, opens[session], np.where(is_capture[kept], _AUTOCAPTURE, _PAGELEAVE))
    # The page of rank n is read 1/n as often as rank 1.
    rank = ((sessions.pages_of_site[session_of_page] + 1) ** _draw(page_key, "rank")).astype(np.int64) - 1
    session_ids = np.array([f"s-{value:016x}" for value in sessions.key.tolist()], dtype=object)
    session_ids[_draw(sessions.key, "without session") < WITHOUT_SESSION_ID] = ""
    distinct_ids = np.array([f"v-{value:016x}" for value in sessions.person.tolist()], dtype=object)
    teams, site = np.unique(sessions.team_id, return_inverse=True)
    is_first = (number == 0) & (page_number[page] == 0)
    channel = _weighted(sessions.key, "channel", [each.weight for each in CHANNELS])[session]
    device = _weighted(sessions.person, "device", [each.weight for each in DEVICES])[session]
    place = _weighted(sessions.person, "place", [each.weight for each in PLACES])[session]
    return pd.DataFrame(
        {
            "team_id": sessions.team_id[session].astype(np.uint64),
            "uuid": _uuids(key[kept]),
            "event": _labels(EVENTS, event),
            "timestamp": pd.DatetimeIndex(at[kept], tz="UTC"),
            "distinct_id": distinct_ids[session],
            "person_id": _uuids(sessions.person)[session],
            "session_id": session_ids[session],
            "host": _labels([f"site-{team}.example" for team in teams], site[session]),
            "pathname": _labels(PAGES, rank[page]),
            **_columns(CHANNELS, np.where(is_first, channel, 0)),
            # Trackers keep a session's referrer, and say it with each of its events.
            "referring_domain": _labels([each.referring_domain for each in CHANNELS], channel),
            **_columns(DEVICES, device),
            **_columns(PLACES, place),
        }
    )


def _columns(table: Sequence[NamedTuple], index: Ints) -> dict[str, object]:
    """Look up every column but the weight of a vocabulary table."""
    columns: dict[str, object] = {}
    for name, *values in zip(table[0]._fields, *table, strict=True):
        if name != "weight":
            texts = [value for value in values if isinstance(value, str)]
            columns[name] = _labels(texts, index) if texts else np.array(values, dtype=np.int64)[index]
    return columns


def _labels(values: Sequence[str], index: Ints) -> object:
    """Look up texts as a categorical, which holds each only once: small, and quick to make."""
    distinct, codes = np.unique(np.array(values, dtype=object), return_inverse=True)
    return pd.Categorical.from_codes(codes[index], categories=pd.Index(list(distinct)))


# 64 bit arithmetic that wraps around: the finaliser and the step of SplitMix64 (Steele, Lea, Flood 2014).
_STEP = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF


def _mix(keys: Keys) -> Keys:
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _keyed(keys: Keys, part: Keys | int) -> Keys:
    """Derive keys from keys and a number, or one number each."""
    step = np.uint64(part * _STEP & _MASK) if isinstance(part, int) else part * np.uint64(_STEP)
    return _mix(_mix(keys + np.uint64(_STEP)) ^ step)


def _team_keys(team_ids: Keys, seed: int) -> Keys:
    return _keyed(_keyed(np.zeros_like(team_ids), seed), team_ids)


def _draw(keys: Keys, what: str) -> Floats:
    """Draw a number in [0, 1) for each key; draws of different things are independent."""
    bits = _keyed(keys, crc32(what.encode())) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def _geometric(keys: Keys, what: str, odds: float | Floats) -> Ints:
    """Draw how often something happens again, each time with the same odds."""
    return (np.log1p(-_draw(keys, what)) / np.log(odds)).astype(np.int64)


def _weighted(keys: Keys, what: str, weights: Sequence[float]) -> Ints:
    bounds = np.cumsum(weights) / sum(weights)
    return np.minimum(np.searchsorted(bounds, _draw(keys, what), side="right"), len(weights) - 1)


def _within(counts: Ints) -> Ints:
    """Number the members of consecutive groups from 0: counts 2, 3 give 0, 1, 0, 1, 2."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _uuids(keys: Keys) -> npt.NDArray[np.object_]:
    """Write keys as uuids of version 8, which is for such own schemes (RFC 9562)."""
    octets = np.stack([_keyed(keys, 1), _keyed(keys, 2)], axis=1).astype(">u8").view(np.uint8).reshape(-1, 16)
    octets[:, 6] = octets[:, 6] & 0x0F | 0x80
    octets[:, 8] = octets[:, 8] & 0x3F | 0x80
    digits = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    text = np.full((len(keys), 36), ord("-"), dtype=np.uint8)
    places = [place for place in range(36) if place not in {8, 13, 18, 23}]
    text[:, places[0::2]], text[:, places[1::2]] = digits[octets >> 4], digits[octets & 15]
    return text.view("S36").ravel().astype("U36").astype(object)
