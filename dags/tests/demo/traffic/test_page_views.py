"""A page view is a page that somebody got; every other hit has a reason why it is none."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dags.demo.traffic.access_log import Hit, Rubbish, RubbishKind
from dags.demo.traffic.page_views import (
    NO_CAMPAIGN,
    SAMPLES_PER_KIND,
    Campaign,
    PageView,
    Skip,
    campaign_of,
    domain_of,
    judge,
    read_site,
)

NOON = datetime(2025, 12, 17, 12, tzinfo=UTC)


def hit(target: str = "/", method: str = "GET", status: int = 200, referrer: str = "", at: datetime = NOON) -> Hit:
    """Make a hit that is a page view unless something is given that prevents it."""
    return Hit(1, at, "10.0.0.1", "", method, target, status, referrer, "agent")


@pytest.mark.parametrize(
    ("target", "pathname"),
    [
        ("/", "/"),
        ("/about", "/about"),
        ("/shuttle/countdown/", "/shuttle/countdown/"),
        ("/ksc.HTML", "/ksc.HTML"),
        ("/index.php?id=3.png", "/index.php"),
        ("/page.html#top", "/page.html"),
        ("/v1.2/", "/v1.2/"),
        ("/login;jsessionid=A1.B2", "/login;jsessionid=A1.B2"),
        ("http://example.org:80/a?b", "/a"),
    ],
)
def test_a_page_that_was_got_is_a_page_view_under_its_path_as_logged(target: str, pathname: str) -> None:
    judged = judge(hit(target))
    assert isinstance(judged, PageView), judged
    assert judged.pathname == pathname


@pytest.mark.parametrize("status", [200, 206, 299, 304])
def test_2xx_and_not_modified_are_answers_that_show_a_page(status: int) -> None:
    assert isinstance(judge(hit(status=status)), PageView)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        pytest.param(hit(method="POST"), Skip.METHOD, id="POST"),
        pytest.param(hit(method="HEAD"), Skip.METHOD, id="HEAD"),
        pytest.param(hit(status=101), Skip.INFORMATION, id="101"),
        pytest.param(hit(status=302), Skip.REDIRECT, id="302"),
        pytest.param(hit(status=404), Skip.CLIENT_ERROR, id="404"),
        pytest.param(hit(status=502), Skip.SERVER_ERROR, id="502"),
        pytest.param(hit("*"), Skip.NO_PATH, id="asterisk"),
        pytest.param(hit("google.com:443"), Skip.NO_PATH, id="authority"),
        pytest.param(hit("http://["), Skip.NO_PATH, id="broken address"),
        pytest.param(hit("/app/start.js?v=2"), Skip.DRESS, id="script"),
        pytest.param(hit("/images/ksclogo.GIF"), Skip.MEDIA, id="image"),
        pytest.param(hit("/robots.txt"), Skip.FEED, id="robots.txt"),
        pytest.param(hit("/blog/feed/"), Skip.FEED, id="feed"),
        pytest.param(hit("/sitemap-2.xml"), Skip.FEED, id="sitemap"),
        pytest.param(hit("/manual.pdf"), Skip.OTHER_FILE, id="pdf"),
        pytest.param(hit("/.git/config"), Skip.OTHER_FILE, id="hidden directory"),
        pytest.param(hit("/.env"), Skip.OTHER_FILE, id="hidden file"),
        pytest.param(hit("/favicon.ico", method="HEAD", status=404), Skip.METHOD, id="the first reason counts"),
    ],
)
def test_another_hit_is_skipped_for_a_reason(other: Hit, reason: Skip) -> None:
    assert judge(other) is reason


def test_the_host_of_a_page_view_is_what_the_request_or_else_the_line_names() -> None:
    logged = hit("/")._replace(host="b.example")
    of_request, of_line = judge(logged._replace(target="http://A.example:80/")), judge(logged)
    assert isinstance(of_request, PageView)
    assert isinstance(of_line, PageView)
    assert (of_request.host, of_line.host) == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://www.Google.com/search?q=x", "www.google.com"),
        ("http://10.134.133.34:443/", "10.134.133.34"),
        ("https://user:secret@example.org/", "example.org"),
        ("", ""),
        ("-", ""),
        ("www.example.org", ""),
        ("javascript:alert(1)", ""),
        ("http://[", ""),
        ("http://[::1", ""),
        ("http:///path", ""),
    ],
)
def test_a_referrer_is_its_domain_and_nothing_else(url: str, domain: str) -> None:
    assert domain_of(url) == domain


@pytest.mark.parametrize(
    ("query", "campaign"),
    [
        ("", NO_CAMPAIGN),
        ("q=utm", NO_CAMPAIGN),
        (
            "utm_source=a&utm_medium=b&utm_campaign=c&utm_term=d&utm_content=e&gclid=f&gad_source=1&fbclid=g",
            Campaign("a", "b", "c", "d", "e", "f", "1", "g"),
        ),
        ("utm_campaign=spring+sale%21", Campaign(utm_campaign="spring sale!")),
        ("utm_source=first&utm_source=second", Campaign(utm_source="first")),
        ("utm_source=&utm_source=b", Campaign(utm_source="b")),
        ("utm_source=%1b[2J&gclid", Campaign(utm_source="%1b[2J")),
        ("utm_source=%ff", Campaign(utm_source="\N{REPLACEMENT CHARACTER}")),
    ],
)
def test_a_query_string_gives_utm_and_click_ids(query: str, campaign: Campaign) -> None:
    assert campaign_of(query) == campaign


def test_the_own_domain_is_the_one_whose_pages_load_the_scripts() -> None:
    log = read_site(
        [hit("/photo.jpg", referrer="https://forum.example/")] * 5
        + [hit("/app.js", referrer="https://own.example/")] * 2
        + [hit("/app.js", referrer="https://mirror.example/"), hit("/app.js", referrer="-")]
    )
    assert log.own_domain == "own.example"


def test_a_log_without_referrers_has_no_own_domain() -> None:
    assert read_site([hit("/app.js")]).own_domain == ""


def test_any_answer_is_a_sign_that_the_log_was_running() -> None:
    late, early = NOON.replace(hour=23), NOON.replace(hour=1)
    log = read_site([hit(status=502, at=late), hit(at=early)])
    assert log.last_hit_by_day == {date(2025, 12, 17): late}


def test_rubbish_is_counted_by_kind_with_a_few_samples() -> None:
    rubbish = [Rubbish(line, RubbishKind.MALFORMED, f"'{line}'") for line in range(1, 6)]
    log = read_site([*rubbish, Rubbish(6, RubbishKind.BLANK, "''")])
    assert log.rubbish == Counter({RubbishKind.MALFORMED: 5, RubbishKind.BLANK: 1})
    assert log.samples == [*rubbish[:SAMPLES_PER_KIND], Rubbish(6, RubbishKind.BLANK, "''")]


HITS = st.builds(
    hit,
    target=st.one_of(st.text(), st.text().map("/{}".format), st.sampled_from(["/", "/a.js", "/robots.txt"])),
    method=st.sampled_from(["GET", "POST"]),
    status=st.integers(100, 599),
    referrer=st.one_of(st.text(), st.text().map("http://{}".format)),
)
RUBBISH = st.builds(Rubbish, st.just(1), st.sampled_from(RubbishKind), st.just("''"))


@given(st.lists(st.one_of(HITS, RUBBISH)))
def test_every_entry_is_a_page_view_or_skipped_or_rubbish(entries: list[Hit | Rubbish]) -> None:
    log = read_site(entries)
    assert log.lines == len(entries)
    assert log.lines == len(log.page_views) + log.skipped.total() + log.rubbish.total()
    assert log.rubbish.total() == sum(isinstance(entry, Rubbish) for entry in entries)
