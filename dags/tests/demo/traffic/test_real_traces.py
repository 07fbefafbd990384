"""Two real traces come out as what they are: an outage is a day without events, not an error."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dags.demo.traffic.access_log import RubbishKind
from dags.demo.traffic.log_files import read_log
from dags.demo.traffic.page_views import SiteLog, Skip, read_site
from dags.demo.traffic.sessions import events
from dags.demo.traffic.shift import apply_shift, plan_shift

DATA = Path(__file__).parents[4].parent / "shared" / "data"
TODAY = date(2026, 3, 10)

# On one worker, so that each trace is read once.
pytestmark = pytest.mark.xdist_group("traces")


def trace(name: str) -> SiteLog:
    """Read a trace, or skip the test where it is absent."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the trace {name} is not there: it is not part of the project and belongs into {DATA}")
    return read_site(read_log(path))


@pytest.fixture(scope="module")
def nasa() -> SiteLog:
    """Read the Common Log Format trace of a site that a hurricane shut down."""
    return trace("nasa-ksc-1995-08-01..08.common.log.gz")


@pytest.fixture(scope="module")
def site_b() -> SiteLog:
    """Read the combined trace of a small site that answered 502 for days."""
    return trace("site-b-2025-12.combined.log.gz")


def events_by_day(log: SiteLog) -> dict[date, int]:
    """Count the events on each UTC day, unshifted."""
    return dict(Counter(event.timestamp.date() for event in events(log.page_views, 1, log.own_domain)))


def test_every_line_of_the_nasa_trace_is_accounted_for(nasa: SiteLog) -> None:
    assert nasa.lines == 274_835
    assert nasa.lines == len(nasa.page_views) + nasa.skipped.total() + nasa.rubbish.total()
    # A name with a comma in it is none.
    assert nasa.rubbish == Counter({RubbishKind.NOT_HTTP: 3, RubbishKind.MALFORMED: 2, RubbishKind.NO_ADDRESS: 12})
    assert nasa.skipped == Counter(
        {
            Skip.MEDIA: 182_077,
            Skip.REDIRECT: 4_069,
            Skip.OTHER_FILE: 3_769,
            Skip.CLIENT_ERROR: 2_183,
            Skip.METHOD: 748,
            Skip.DRESS: 28,
        }
    )


def test_the_day_of_the_hurricane_has_no_event_and_its_neighbours_have(nasa: SiteLog) -> None:
    counts = events_by_day(nasa)
    assert sorted(counts) == [date(1995, 8, day) for day in (1, 3, 4, 5, 6, 7, 8)]


def test_the_nasa_trace_is_cut_on_the_eighth_so_the_seventh_becomes_yesterday(nasa: SiteLog) -> None:
    shift = plan_shift(nasa.last_hit_by_day, TODAY)
    kept, dropped = apply_shift(nasa.page_views, shift, TODAY)
    assert timedelta(days=shift.days) == date(2026, 3, 9) - date(1995, 8, 7)
    assert dropped == events_by_day(nasa)[date(1995, 8, 8)]
    assert max(page_view.at for page_view in kept) == datetime(2026, 3, 9, 23, 59, 55, tzinfo=UTC)


def test_every_line_of_site_b_is_accounted_for(site_b: SiteLog) -> None:
    assert site_b.lines == 9_116
    assert site_b.lines == len(site_b.page_views) + site_b.skipped.total() + site_b.rubbish.total()
    assert site_b.rubbish == Counter(
        {RubbishKind.BINARY_REQUEST: 59, RubbishKind.NOT_HTTP: 58, RubbishKind.EMPTY_REQUEST: 17}
    )
    assert all(sample.sample.isascii() and sample.sample.isprintable() for sample in site_b.samples)


def test_the_days_on_which_site_b_answered_502_have_hits_and_no_event(site_b: SiteLog) -> None:
    outage = {date(2025, 12, day) for day in (21, 22, 23, 24)}
    counts = events_by_day(site_b)
    assert outage <= site_b.last_hit_by_day.keys()
    assert outage.isdisjoint(counts)
    assert {date(2025, 12, 20), date(2025, 12, 25)} <= counts.keys()


def test_site_b_runs_to_the_end_of_the_year_so_its_last_day_becomes_yesterday(site_b: SiteLog) -> None:
    shift = plan_shift(site_b.last_hit_by_day, TODAY)
    kept, dropped = apply_shift(site_b.page_views, shift, TODAY)
    assert timedelta(days=shift.days) == date(2026, 3, 9) - date(2025, 12, 31)
    assert (len(kept), dropped) == (len(site_b.page_views), 0)


def test_site_b_refers_to_itself_by_a_domain_that_its_log_tells(site_b: SiteLog) -> None:
    referrers = Counter(event.referring_domain for event in events(site_b.page_views, 1, site_b.own_domain))
    assert site_b.own_domain
    assert site_b.own_domain not in referrers
    assert referrers["www.google.com"] == 3
