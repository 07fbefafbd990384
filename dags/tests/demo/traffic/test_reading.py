"""Access logs as people have them: which sites they are of, what is shown of them, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zipfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dags.demo.traffic.reading import MOST_SITES, ReadLogs, TrafficError, find_logs, logs_named, read_access_logs
from dags.domain.days import DayRange

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TODAY = date(2026, 1, 30)
DAYS = DayRange(date(2026, 1, 1), TODAY)
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
}


def line(at: datetime, before: str = "203.0.113.7 - -", path: str = "/", after: str = "") -> str:
    return f'{before} [{at:%d/%b/%Y:%H:%M:%S +0000}] "GET {path} HTTP/1.1" 200 1 "-" "agent"{after}'


def hours(day: date, count: int = 24) -> list[datetime]:
    return [datetime(day.year, day.month, day.day, hour, 30, tzinfo=UTC) for hour in range(count)]


def written(path: Path, lines: Iterable[str], packed: str = "") -> Path:
    content = "".join(f"{one}\n" for one in lines).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.with_name(path.name + packed)
    target.write_bytes(PACKED[packed](content))
    return target


def found(read: ReadLogs) -> list[tuple[str, str, int, int]]:
    """Of each site its host, its first and last day, visitors and page views."""
    return [
        (
            site.report.host,
            f"{min(view.at for view in site.page_views):%m-%d} … {max(view.at for view in site.page_views):%m-%d}",
            len({view.address for view in site.page_views}),
            len(site.page_views),
        )
        for site in read.sites
    ]


def test_rotated_files_of_two_sites_are_two_sites_in_order_of_time(tmp_path: Path) -> None:
    newest = TODAY - timedelta(days=1)
    for age in range(8):
        times = hours(newest - timedelta(days=age))
        numbered = tmp_path / ("access.log" if age == 0 else f"access.log.{age}")
        written(numbered, [line(at, path=f"/{at:%d}") for at in times], ["", ".gz", ".bz2", ".xz", ".zst"][age % 5])
        dated = tmp_path / f"shop's $1-{newest - timedelta(days=age)}.log"
        written(dated, [line(at) for at in times], "" if age < 2 else ".gz")
    # What was being packed when it was copied is there twice, and so is what a link names.
    written(tmp_path / "access.log.2", [line(at, path=f"/{at:%d}") for at in hours(newest - timedelta(days=2))])
    (tmp_path / "shop's $1-current.log").symlink_to(tmp_path / f"shop's $1-{newest}.log")
    read = read_access_logs([tmp_path / "*"], DAYS, TODAY)
    assert found(read) == [("", "01-22 … 01-29", 1, 192)] * 2
    assert [site.report.lines for site in read.sites] == [192, 192]
    assert [str(site.report.source).rpartition("/")[2] for site in read.sites] == [
        "access.log in 8 files", "shop's $1.log in 8 files",
    ]  # fmt: skip
    [twice] = read.others
    assert twice.source.endswith("access.log.2.bz2, the same as " + str(tmp_path / "access.log.2"))
    times = [view.at for view in read.sites[0].page_views]
    assert times == sorted(times)
    # All of a log moves together: none of its files becomes yesterday by itself.
    old = read_access_logs([tmp_path / "access.log.[67]*"], DAYS, TODAY)
    assert found(old) == [("", "01-28 … 01-29", 1, 48)]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (hours(date(2025, 3, 5)), "last full day 2025-03-05 became 2026-01-29"),
        (hours(date(2025, 3, 5), 7), "only day, a partial one, 2025-03-05 became 2026-01-29"),
        (hours(TODAY, 9), "begins on 2026-01-30, too recent to be judged: shifted back by 1 day"),
    ],
)
def test_a_log_of_one_day_is_shown_as_the_last_day_and_so_is_one_of_today(
    tmp_path: Path, at: list[datetime], words: str
) -> None:
    read = read_access_logs([written(tmp_path / "access.log", map(line, at))], DAYS, TODAY)
    assert found(read) == [("", "01-29 … 01-29", 1, len(at))]
    assert words in read.sites[0].report.text()


def test_in_the_hour_after_midnight_the_last_day_that_is_judged_is_the_one_before_yesterday(tmp_path: Path) -> None:
    days = DayRange(DAYS.start, TODAY - timedelta(days=1))
    for first, shown in ((TODAY, 1), (TODAY - timedelta(days=1), 24), (TODAY - timedelta(days=2), 24)):
        times = [at for age in range(3) for at in hours(TODAY - timedelta(days=age)) if at.date() >= first]
        times = [at for at in times if at <= hours(TODAY)[0]]
        read = read_access_logs([written(tmp_path / f"{first}", map(line, times))], days, TODAY)
        assert found(read) == [("", "01-28 … 01-28", 1, shown)]


def test_where_only_images_are_older_than_today_its_pages_are_shown_all_the_same(tmp_path: Path) -> None:
    lines = [line(at, path="/a.png") for at in hours(TODAY - timedelta(days=1))] + [line(at) for at in hours(TODAY, 2)]
    assert found(read_access_logs([written(tmp_path / "log", lines)], DAYS, TODAY)) == [("", "01-29 … 01-29", 1, 2)]


def test_a_log_of_several_hosts_is_a_site_for_each_and_moves_together(tmp_path: Path) -> None:
    days = [TODAY - timedelta(days=age) for age in (5, 4)]
    lines = [line(at, f"www.Shop.example:443 203.0.113.{at.hour} - -") for at in hours(days[0])]
    lines += [line(at, f"shop.example:80 203.0.113.{at.hour} - -") for at in hours(days[0])]
    lines += [line(at, "blog.example:80 203.0.113.9 - -") for at in hours(days[1])]
    lines += [line(at, "*:80 203.0.113.9 - -") for at in hours(days[1], 3)]
    lines += [line(hours(days[1])[0], "pictures.example:80 203.0.113.9 - -", "/a.png"), "rubbish"]
    read = read_access_logs([written(tmp_path / "other_vhosts_access.log", lines)], DAYS, TODAY)
    assert found(read) == [
        ("shop.example", "01-28 … 01-28", 24, 48),
        ("blog.example", "01-29 … 01-29", 1, 24),
        ("no host", "01-29 … 01-29", 1, 3),
    ]
    # What names no site is with that of the default site, as far as it has one.
    assert read.sites[2].report.rubbish == {"not Common or Combined Log Format": 1}
    assert [(rest.lines, rest.skipped) for rest in read.others] == [(1, {"image, sound or film": 1})]
    assert "from shop.example in " in read.sites[0].report.text()
    # Hosts that scanners make up are not all a team each; every line is accounted for.
    many = [line(at, f"host{number}.example:80 203.0.113.9 - -") for number in range(50) for at in hours(days[0], 2)]
    read = read_access_logs([written(tmp_path / "many.log", many)], DAYS, TODAY)
    assert len(read.sites) == MOST_SITES
    assert dict(read.others[0].left_out) == {f"page views of hosts beyond the {MOST_SITES} busiest": 60}


VISITORS = {
    "a host": ("shop.example 8.8.8.{} - -", ""),
    "a default site": ("*:80 8.8.8.{} - -", ""),
    "syslog": ("Jan 29 11:38:29 10.0.0.5 nginx: 8.8.8.{} - -", ""),
    "syslog, RFC 5424": ("<190>1 2026-01-29T11:38:29.123Z web1 nginx 12 - - 8.8.8.{} - -", ""),
    "containers": ("web_1  | 8.8.8.{} - -", ""),
    "whom it was forwarded for": ("8.8.8.{}, 10.0.0.1, 10.0.0.2 - -", ""),
    "the same without blanks": ("unknown,8.8.8.{},10.0.0.1 - -", ""),
    "the same in quotes": ('"8.8.8.{}, 10.0.0.1" - -', ""),
    "a proxy of one's own, and whom it was forwarded for": ("127.0.0.1 - -", ' "8.8.8.{}, 10.0.0.1"'),
    "a socket, and whom it was forwarded for": ("unix: - -", ' 0.004 "10.0.0.9:8080" "8.8.8.{}"'),
    "the site in place of an ident": ("8.8.8.{} shop.example -", ""),
    "an address in brackets as well": ("8.8.8.{} - [8.8.8.8] - -", ""),
    "a port": ("8.8.8.{}:51234 - -", ""),
    "IPv6 with a port": ("[2001:db8::{}]:443 - -", ""),
    "a user of many words, an address among them": ("8.8.8.{} - one 1.1.1.1 and more", ""),
    "a name that was looked up": ("host-{}.Example.net - -", ""),
    "a name that was looked up, at a site": ("shop.example:80 host-{}.example.net - -", ""),
}


@pytest.mark.parametrize(("before", "after"), VISITORS.values(), ids=VISITORS.keys())
def test_visitors_are_told_apart_whatever_stands_before_their_address(tmp_path: Path, before: str, after: str) -> None:
    times = hours(TODAY - timedelta(days=1))
    lines = [line(at, before.format(at.hour), after=after.format(at.hour)) for at in times]
    read = read_access_logs([written(tmp_path / "access.log", lines)], DAYS, TODAY)
    assert found(read) == [("", "01-29 … 01-29", 24, 24)]
    assert not read.sites[0].report.rubbish


@pytest.mark.parametrize("before", ["unix: - -", "*:80 - -", "- - -", "shop.example:80 - -", "999.1.1.1 - -", "8 9 10"])
def test_a_line_without_an_address_is_rubbish_by_name(tmp_path: Path, before: str) -> None:
    times = hours(TODAY - timedelta(days=1))
    log = written(tmp_path / "access.log", [line(times[0]), *(line(at, before) for at in times[1:])])
    read = read_access_logs([log], DAYS, TODAY)
    assert found(read) == [("", "01-29 … 01-29", 1, 1)]
    assert read.sites[0].report.rubbish == {"no address of a visitor": 23}


def refusal(*logs: Path) -> str:
    with pytest.raises(TrafficError) as refused:
        read_access_logs(logs, DAYS, TODAY)
    assert "nothing was touched" in str(refused.value)
    return str(refused.value)


def test_what_cannot_be_read_or_shown_is_refused_in_words_everything_at_once(tmp_path: Path) -> None:
    good = written(tmp_path / "good.log", [line(hours(TODAY)[0])])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(good)
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as packed:
        packed.addfile(tarfile.TarInfo("x"), io.BytesIO())
    (tmp_path / "c.Z").write_bytes(b"\x1f\x9d\x90")
    (tmp_path / "d.lz4").write_bytes(b"\x04\x22\x4d\x18")
    (tmp_path / "directory").mkdir()
    words = refusal(tmp_path / "*", tmp_path / "directory", tmp_path / "none*")
    for expected in (
        "a.zip' cannot be read (it is a zip archive)", "b.tar.gz' cannot be read (it is a tar archive)",
        "c.Z' cannot be read (it is packed by compress (.Z))", "d.lz4' cannot be read (it is packed by lz4)",
        f"only a directory at '{tmp_path}/directory'", f"no file at '{tmp_path}/none*'",
    ):  # fmt: skip
        assert expected in words
    assert "good.log" not in words
    rubbish = written(tmp_path / "rubbish.log", ["Starting nginx", "{}"])
    assert "2  rubbish: not Common or Combined Log Format" in refusal(rubbish)
    assert "no hit up to today" in refusal(written(tmp_path / "future.log", [line(hours(date(2027, 1, 1))[0])]))
    assert "nothing to load in 0 lines" in refusal(written(tmp_path / "empty.log", []))
    assert "page views of 2026-01-30 or later" not in refusal(
        written(tmp_path / "images.log", [line(at, path="/a.png") for at in hours(DAYS.start)])
    )
    # A log that cannot be shown is no reason not to show another.
    read = read_access_logs([good, rubbish], DAYS, TODAY)
    assert (len(read.sites), [other.source for other in read.others]) == (1, [str(rubbish)])


@pytest.mark.parametrize("packed", [".gz", ".bz2", ".xz", ".zst"])
def test_a_packed_log_that_breaks_off_is_shown_as_far_as_it_goes(tmp_path: Path, packed: str) -> None:
    times = hours(TODAY - timedelta(days=1))
    numbered = [
        line(at, path=f"/{at.timestamp()}/{n * 7919 % 100_003}{'xy' * 100}") for at in times for n in range(400)
    ]
    log = written(tmp_path / "log", numbered, packed)
    content = log.read_bytes()
    log.write_bytes(content[: len(content) * 2 // 3])
    read = read_access_logs([log], DAYS, TODAY)
    assert len(read.sites[0].page_views) > 100
    assert read.sites[0].report.rubbish == {"compressed stream that breaks off": 1}


def test_a_log_that_an_editor_saved_keeps_its_first_line_and_one_in_utf_16_is_named(tmp_path: Path) -> None:
    text = "".join(f"{line(at)}\n" for at in hours(DAYS.start))
    marked, copied = tmp_path / "marked.log", tmp_path / "copied.log"
    marked.write_bytes(text.encode("utf-8-sig"))
    # As a log is whose writer went on where it was when it was cut to nothing.
    copied.write_bytes(bytes(64) + text.encode())
    [site] = read_access_logs([str(marked)], DAYS, TODAY).sites
    assert (site.report.lines, len(site.page_views), site.report.rubbish) == (24, 24, {})
    assert len(read_access_logs([str(copied)], DAYS, TODAY).sites[0].page_views) == 23
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        (tmp_path / encoding).write_bytes(gzip.compress(text.encode(encoding)))
        with pytest.raises(TrafficError, match=r"it is UTF-16: make it UTF-8, `iconv -f UTF-16 -t UTF-8`"):
            read_access_logs([str(tmp_path / encoding)], DAYS, TODAY)


def test_files_are_found_by_names_that_hold_what_globs_are_made_of(tmp_path: Path) -> None:
    log = written(tmp_path / "it's [1] $HOME.log", [line(hours(TODAY)[0])])
    assert find_logs([log, str(log)]) == [log]


def test_several_logs_are_given_with_blanks_between_them_and_a_name_with_blanks_is_one(tmp_path: Path) -> None:
    one, two, blank, quoted = (tmp_path / name for name in ("one.log", "two.log", "a b.log", "it's a"))
    for log in (one, two, blank, quoted):
        log.write_text("")
    both = f"{one} {two}"
    assert logs_named(both) == [str(one), str(two)]
    assert logs_named(f"'{blank}' {tmp_path}/t*.log") == [str(blank), f"{tmp_path}/t*.log"]
    for name in (str(blank), f"{tmp_path}/a b*", str(quoted), f"{tmp_path}/no such.log", f"{one} it's", str(one)):
        assert logs_named(name) == [name]
    # All of them, or none: one that is missing is named.
    assert f"no file at '{tmp_path}/three.log'" in refusal(*map(Path, logs_named(f"{one} {tmp_path}/three.log")))
    Path(both).parent.mkdir(parents=True)
    Path(both).write_text("")
    assert logs_named(both) == [both]
