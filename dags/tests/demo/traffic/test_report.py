"""A load is reported in words that fit a terminal and are safe to print."""

from datetime import date

from dags.demo.traffic.access_log import Rubbish, RubbishKind
from dags.demo.traffic.report import WIDTH, LoadReport
from dags.demo.traffic.shift import Shift


def test_a_report_of_a_log_accounts_for_every_line() -> None:
    report = LoadReport(
        team_id=3,
        source="logs/site.log",
        events_by_day={date(2026, 1, 4): 2, date(2026, 1, 2): 1_000},
        lines=1_010,
        rubbish={RubbishKind.NOT_HTTP.value: 1},
        samples=(Rubbish(9, RubbishKind.NOT_HTTP, "'SSH-2.0-Go'"),),
        skipped={"answered 4xx": 2, "method is not GET": 4},
        shift=Shift(0, "has hits up to 2026-01-05: times kept"),
        left_out={"page views of 2026-01-05 or later": 1},
    )
    assert (report.events, report.days_with_events) == (1_002, 2)
    assert report.text().splitlines() == [
        "team 3: 1,002 events on 2 days, 2026-01-02 to 2026-01-04",
        "  from logs/site.log",
        "  has hits up to 2026-01-05: times kept",
        "  1,010 lines, of which 1,002 are page views that were loaded",
        "          1  left out: page views of 2026-01-05 or later",
        "          4  no page view: method is not GET",
        "          2  no page view: answered 4xx",
        "          1  rubbish: request line that is not HTTP",
        "             line 9: 'SSH-2.0-Go'",
    ]


def test_a_report_of_generated_traffic_speaks_of_events_only() -> None:
    report = LoadReport(1, "generated, seed 7", {date(2026, 1, 2): 1})
    assert report.text() == "team 1: 1 event on 2026-01-02\n  from generated, seed 7"


def test_a_load_without_events_says_so() -> None:
    assert LoadReport(1, "empty.log", {}).text().startswith("team 1: 0 events on no day")


def test_a_report_fits_its_width_and_a_hostile_file_name_is_escaped() -> None:
    text = LoadReport(1, "logs/\x1b[2J" + "a" * 300, {}).text()
    assert all(line.isprintable() and len(line) <= WIDTH for line in text.splitlines())
