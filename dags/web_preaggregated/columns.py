"""What each column of the tables means, said once: the UI shows it beside the assets.

A test holds names and types against what the schema makes.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from dags.domain.watched import Column

_FEW, _TEXT = "LowCardinality(String)", "String"

# Of the event; in the pre-aggregates of the page view or of the session, as the README's "Meaning" has it.
_PLACE = {
    "country_code": (_FEW, "Country, ISO 3166 alpha-2"),
    "city_name": (_FEW, "City"),
    "region_code": (_FEW, "Region within the country, ISO 3166-2 without the country"),
    "region_name": (_FEW, "Region within the country"),
}
_UTM = {
    f"utm_{name}": (_FEW, f"Campaign parameter utm_{name}")
    for name in ("source", "medium", "campaign", "term", "content")
}
_DEVICE = {
    "browser": (_FEW, "Browser"),
    "os": (_FEW, "Operating system"),
    "viewport_width": ("Int64", "Width of the viewport, in CSS pixels"),
    "viewport_height": ("Int64", "Height of the viewport, in CSS pixels"),
}
_HOST = {"host": (_FEW, "Host of the page")}
_DEVICE_TYPE = {"device_type": (_FEW, "Desktop, Mobile, Tablet …")}
_REFERRER = {"referring_domain": (_FEW, "Domain that the visitor came from; $direct where there was none")}
_ENDS = {
    "entry_pathname": (_TEXT, "Path of the session's first page view or screen"),
    "end_pathname": (_TEXT, "Path of the session's last page view or screen"),
}
_CLICKS = {
    "has_gclid": ("Bool", "Whether the session came with a Google click id"),
    "has_gad_source_paid_search": ("Bool", "Whether the session came with gad_source = 1: paid search"),
    "has_fbclid": ("Bool", "Whether the session came with a Facebook click id"),
}
_STATES = {
    "persons_uniq_state": ("AggregateFunction(uniq, UUID)", "Distinct persons: merge with uniqMerge, never add up"),
    "sessions_uniq_state": ("AggregateFunction(uniq, String)", "Distinct sessions: merge with uniqMerge, never add up"),
    "pageviews_count_state": ("AggregateFunction(sum, UInt64)", "Page views and screens: sumMerge"),
}
_BUCKET = {
    "period_bucket": ("DateTime('UTC')", "Hour in UTC in which the session began; the whole session is in it"),
    "team_id": ("UInt64", "The team, a tenant"),
}
_OF_OTHERS = {
    "mat_metadata_loggedIn": ("Nullable(Bool)", "NULL, for readers of PostHog's tables that filter by it"),
    "mat_metadata_backend": ("Nullable(String)", "NULL, for readers of PostHog's tables that filter by it"),
}


def _columns(*parts: dict[str, tuple[str, str]]) -> tuple[Column, ...]:
    return tuple(Column(name, kind, words) for part in parts for name, (kind, words) in part.items())


STATS_COLUMNS = _columns(
    _BUCKET,
    _HOST,
    _DEVICE_TYPE,
    {"pathname": (_TEXT, "Path of the page view or screen")},
    _ENDS,
    _DEVICE,
    _REFERRER,
    _UTM,
    _PLACE,
    _CLICKS,
    _STATES,
    _OF_OTHERS,
)
BOUNCES_COLUMNS = _columns(
    _BUCKET,
    _HOST,
    _DEVICE_TYPE,
    _ENDS,
    _DEVICE,
    _REFERRER,
    _UTM,
    _PLACE,
    _CLICKS,
    _STATES,
    {
        "bounces_count_state": ("AggregateFunction(sum, UInt64)", "Sessions that bounced: sumMerge"),
        "total_session_duration_state": ("AggregateFunction(sum, Int64)", "Lengths of the sessions, in s: sumMerge"),
        "total_session_count_state": ("AggregateFunction(sum, UInt64)", "Sessions: sumMerge"),
    },
    _OF_OTHERS,
)
EVENTS_COLUMNS = _columns(
    {
        "team_id": ("UInt64", "The team, a tenant"),
        "uuid": ("UUID", "The event: the same twice for a team is one event"),
        "event": (_FEW, "What happened: $pageview, $screen, $autocapture …"),
        "timestamp": ("DateTime64(6, 'UTC')", "When it happened"),
        "distinct_id": (_TEXT, "The person, as the tracker calls it"),
        "person_id": ("UUID", "The person"),
        "session_id": (_TEXT, "The session; empty where it belongs to none"),
        "inserted_at": ("DateTime64(6, 'UTC')", "When it arrived; of copies the newest counts"),
    },
    _HOST,
    {"pathname": (_TEXT, "Path of the page")},
    _REFERRER,
    _UTM,
    {name: _DEVICE[name] for name in ("browser", "os")},
    _DEVICE_TYPE,
    {name: _DEVICE[name] for name in ("viewport_width", "viewport_height")},
    _PLACE,
    {
        "gclid": (_TEXT, "Google click id"),
        "gad_source": (_FEW, "Google's word for where a click was; 1 is paid search"),
        "fbclid": (_TEXT, "Facebook click id"),
        "qualifies": ("UInt8", "Whether it makes its session count: a page view or a screen of a session"),
        "load_id": ("UInt64", "The load that brought it; 0 for what others write"),
    },
)
TEAMS_COLUMNS = _columns(
    {
        "team_id": ("UInt64", "The team, a tenant"),
        "is_enabled": ("UInt8", "Whether it is enabled; those that left stay, with 0"),
        "selected_at": ("DateTime64(6, 'UTC')", "When the list last said so"),
    }
)
ENABLED_TEAMS_COLUMNS = _columns(
    {
        "team_id": ("UInt64", "The team, a tenant"),
        "is_enabled": ("UInt8", "1 enables it, 0 ends that; the newest row of a team counts"),
        "changed_at": ("DateTime64(6, 'UTC')", "When somebody said so"),
    }
)
