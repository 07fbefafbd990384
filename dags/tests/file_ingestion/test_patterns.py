"""A pattern means the same to its author, to Python and to both engines; a path names the days that it seems to."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product, takewhile
from operator import add
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dags.domain.errors import UserError
from dags.file_ingestion.patterns import compiled, day_of, days_of, recent_prefixes

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

# A pattern, what it matches, and what it does not.
CASES: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("a", ("a",), ("", "b", "aa", "x/a", "a/x", "a\n", "A")),
    ("*", ("", "a", "a.csv", "ü", "a\nb"), ("a/b", "/")),
    ("*.csv", (".csv", "a.csv"), ("a.csv.gz", "xcsv", "d/a.csv", "a.csv\n")),
    ("a?c", ("abc", "aüc", "a🙂c", "a\nc"), ("ac", "a/c", "abbc")),
    ("**", ("", "a", "a/b", "a//b"), ()),
    ("a/**/b", ("a/b", "a/x/b", "a/x/y/b", "a//b"), ("ab", "a/xb", "a/x/yb", "x/a/b", "a/b/c")),
    ("a/**", ("a/x", "a/x/y", "a/.x"), ("a", "ab", "b/a/x")),
    ("**/b", ("b", "a/b", "a/x/b"), ("ab", "b/c")),
    ("**/a/**/b*/**", ("a/b/c", "x/a/y/bz/c/d"), ("a/b", "a/c/d")),
    ("**/**/b/**/**", ("b/c", "x/b/c"), ("b",)),
    ("{a,b}/c", ("a/c", "b/c"), ("c", "/c", "a,b/c")),
    ("a{,.gz}", ("a", "a.gz"), ("a.g",)),
    ("{,}a{}", ("a",), ("",)),
    ("{a{1,2{x,}},b*}.c", ("a1.c", "a2x.c", "a2.c", "b.c", "bb.c"), ("a.c", "a1x.c", "b/.c")),
    ("{a/**/b,c}/d", ("a/b/d", "a/x/y/b/d", "c/d"), ("a/x/d",)),
    ("{1..9}", ("1", "9"), ("0", "10", "01", "٣", "²", "1..9")),
    ("{9..11}x", ("9x", "10x", "11x"), ("8x", "12x", "09x", "1x")),
    ("{12..9}", ("9", "12"), ("8", "13", "09")),
    ("{0..10}", ("0", "10"), ("00", "11")),
    ("{01..12}", ("01", "09", "12"), ("1", "00", "13", "001")),
    ("{8..010}", ("008", "010"), ("8", "10", "011")),
    ("{0001..10000}", ("00001", "10000"), ("0001", "10001")),
    ("{95..1105}", ("95", "99", "100", "999", "1000", "1105"), ("94", "1106", "0100")),
    ("[3-4]", ("3", "4"), ("2", "5", "34", "")),
    ("[abc]x", ("ax", "cx"), ("dx", "x")),
    ("x[!a]", ("xb", "xü", "x\n"), ("xa", "x/", "x")),
    ("[+-9]", ("+", ".", "0", "9"), ("/", ":")),
    ("[!+-9]", ("a",), ("/", "+", "5")),
    ("[a-]", ("a", "-"), ("b",)),
    ("[-a]", ("-", "a"), ("b",)),
    (r"[\]a\-c[^&&~~||-]", ("]", "a", "-", "[", "^", "&", "~", "|"), ("b", "\\")),
    ("[*]/[{]x", ("*/{x",), ("a/{x",)),
    (r"\*\?\{\}\[\]\\\a,", ("*?{}[]\\a,",), ("a",)),
    (r"{a\,b,c\}}", ("a,b", "c}"), ("a", "b")),
    ("a b#%'\"`,ü$+(x)|^.", ("a b#%'\"`,ü$+(x)|^.",), ("a b#%'\"`,ü$+(x)|^x",)),
    ("%61/a&b=c~d-e", ("%61/a&b=c~d-e",), ("a/a&b=c~d-e",)),
]
MATCHES = [(text, path, True) for text, paths, _ in CASES for path in paths]
MATCHES += [(text, path, False) for text, _, paths in CASES for path in paths]


@pytest.mark.parametrize(("text", "path", "is_meant"), MATCHES)
def test_a_pattern_matches_what_it_means_and_nothing_else(text: str, path: str, is_meant: bool) -> None:  # noqa: FBT001
    pattern = compiled(text)
    assert pattern.matches(path) == is_meant
    assert (re.fullmatch(pattern.regex, path) is not None) == is_meant


def test_the_cases_are_the_same_to_both_engines(client: Client) -> None:
    asked = [(text, (*paths, *others)) for text, paths, others in CASES]
    assert by_engine(client, asked) == [[True] * len(paths) + [False] * len(others) for _, paths, others in CASES]


PREFIXES = {
    "a": "",
    "a/b": "a/",
    "a/b/*": "a/b/",
    "a/b*/c": "a/",
    "*/a": "",
    "**": "",
    "a/**": "a/",
    "a/**/b": "a/",
    "data/{2025,2026}/x": "data/",
    "{data/a,data/b}/x": "data/",
    "{a/b,a/b}/x": "a/b/",
    "{,x/}x/y": "x/",
    "x{/a,/b}": "x/",
    "a/{5..5}/b/{1..11}/c": "a/5/b/",
    "a/{05..05}/{01..02}/c": "a/05/",
    r"a\*/[b]/[c]d/[ef]/g": "a*/b/cd/",
    "ü b/#/x?": "ü b/#/",
}


@pytest.mark.parametrize(("text", "prefix"), PREFIXES.items())
def test_the_prefix_is_all_that_matches_share_up_to_a_slash(text: str, prefix: str) -> None:
    assert compiled(text).prefix == prefix


# What is refused, and words of the answer.
REFUSED = {
    "": r"is empty: write \*\*",
    "x" * 1001: "has 1001 characters: 1000 at most",
    "/a": "character 1: .* leave the '/' out",
    r"\/a": "leave the '/' out",
    "a/": r"character 2: .* write \*\* after it",
    "a/**/": r"write \*\* after it",
    "..": "'..' as a segment",
    "a/../b": "'..' as a segment",
    r"a/\../b": "'..' as a segment",
    "a/**/..": "'..' as a segment",
    "a/{b/..,c}": "'..' as a segment",
    "a**": r"character 2: '\*\*' is a whole segment",
    "a/**b": r"character 3: '\*\*' is a whole segment",
    "a/***/b": r"'\*\*' is a whole segment",
    "{a/**,b}/c": r"'\*\*' is a whole segment",
    "x/{**/b,c}": r"'\*\*' is a whole segment",
    "{a,b": r"character 1: no } closes this '{': add it, or write \\{",
    "a{b,{c,d}": "character 2: no }",
    "a}b": r"character 2: .* write \\}",
    "[a": r"character 1: no \] closes this '\['",
    "[a/b]": "a class holds no '/'",
    r"[a\/]": "a class holds no '/'",
    "a]": r"write \\\]",
    "[]a]": "the class is empty",
    "[!]": "the class is empty",
    "[^a]": r"write \[!…\]",
    "[z-a]": "z-a, which is reversed: write a-z",
    "{1..10001}": "10001 numbers, 10000 at most",
    "{99999999999..1}": "99999999999 numbers",
    "{1..9,20}": r"write \{\{1..9\},20\}",
    "{a..z}": r"\[a-z\] for letters",
    "{1..10..2}": "a range is",
    "{-1..5}": "a range is",
    "{{{{{{a}}}}}}": "character 6: braces within braces, 5 deep at most",
    "a\nb": r"character 2: U\+000A",
    "a\x7f": r"U\+007F",
    "a\x85": r"U\+0085",
    "a\ud800": r"U\+D800",
    "a\\": r"character 2: .* write \\\\",
    "[a\\": r"write \\\\",
}


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=map(ascii, REFUSED))
def test_what_is_no_pattern_is_refused_with_what_to_write_instead(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        compiled(text)


def test_what_is_just_allowed_is_taken() -> None:
    assert compiled("x" * 1000).matches("x" * 1000)
    assert compiled("{1..10000}").matches("10000")
    assert compiled("{{{{{a,b}}}}}").matches("b")
    assert compiled(r"a\../..b/c../...").matches("a../..b/c../...")


# Texts at the limit, of the parts that grow most; each with a path that it matches.
LARGEST = {
    "?" * 1000: "ü" * 1000,
    "[!b]" * 250: "\n" * 250,
    "[!-🙂]" * 166: "ü" * 166,
    "a*" * 500: "a" * 1000,
    "{,}" * 333: "",
    "{8..9998}" * 111: "8" * 100 + "9998" * 11,
    f"{{{'9' * 497}..{'9' * 497}}}": "9" * 497,
    "**/a*/" * 166 + "b": "a/" * 300 + "b",
    "{a,a/**/{b,*}}" * 71: "a" * 71,
}


def test_no_pattern_grows_beyond_what_an_engine_takes(client: Client) -> None:
    paths = (*LARGEST.values(), "x")
    patterns = [compiled(text) for text in LARGEST]
    assert max(len(pattern.regex) for pattern in patterns) < 15_000
    meant = [[pattern.matches(path) for path in paths] for pattern in patterns]
    assert by_engine(client, [(text, paths) for text in LARGEST]) == meant
    assert [answers[at] for at, answers in enumerate(meant)] == [True] * len(LARGEST)


def test_many_stars_take_no_longer_than_their_number() -> None:
    started = monotonic()
    assert not compiled("*a" * 499 + "*b").matches("a" * 1000)
    assert not compiled("**/*a*/" * 100 + "b").matches("a/" * 500)
    assert monotonic() - started < 10


# Patterns as trees, and what they mean by another reading: braces are written out, and segments are tried one by one.


@dataclass(frozen=True)
class Token:
    """What stands in a pattern: how it is written, which texts it is, and some of them."""

    written: str
    is_text: Callable[[str], bool]
    samples: tuple[str, ...]


STAR = Token("*", lambda text: "/" not in text, ("", "a", "\n", "b1", ".c"))
ONE = Token("?", lambda text: len(text) == 1 and text != "/", ("a", "\n", "ü"))
SLASH = Token("/", lambda text: text == "/", ("/",))
DEEP = Token("**", lambda _: True, ("", "a", "b/a", "/"))

CHARACTERS = "ab01ü*{},$ +(|-&[~^\\?!]#'"


def literal(text: str) -> Token:
    return Token(re.sub(r"[*?{}\[\],\\]", r"\\\g<0>", text), lambda other: other == text, (text,))


def numbers(first: int, more: int, zeros: int) -> Token:
    low, high = (str(number).zfill(zeros) for number in (first, first + more))
    width = len(high) if low[0] == "0" and len(low) > 1 else 0
    named = tuple(str(number).zfill(width) for number in range(first, first + more + 1))
    return Token(f"{{{low}..{high}}}", lambda text: text in named, named)


def of_class(ranges: list[tuple[str, str]], is_negated: bool) -> Token:  # noqa: FBT001 -- a value
    ends = [(min(pair), max(pair)) for pair in ranges]
    inside = "".join(f"\\{first}" if first == last else f"\\{first}-\\{last}" for first, last in ends)

    def is_text(text: str) -> bool:
        if len(text) != 1 or text == "/":
            return False
        return any(ord(text) in range(ord(first), ord(last) + 1) for first, last in ends) != is_negated

    return Token(
        f"[{'!' if is_negated else ''}{inside}]", is_text, tuple(filter(is_text, f"{CHARACTERS}.\n🙂")) or ("",)
    )


CHARACTER = st.sampled_from(CHARACTERS)
TOKENS = st.one_of(
    st.builds(literal, CHARACTER | st.just(".c")),
    st.builds(numbers, st.integers(0, 120), st.integers(0, 30) | st.integers(0, 2000), st.integers(0, 3)),
    st.builds(of_class, st.lists(st.tuples(CHARACTER, CHARACTER), min_size=1, max_size=3), st.booleans()),
    st.just(STAR),
    st.just(ONE),
)
# A choice is a tuple of trees, and a tree a list of tokens and choices.
Tree: TypeAlias = "list[Token | tuple[Tree, ...]]"


def trees(of: st.SearchStrategy[Any], size: int) -> st.SearchStrategy[Tree]:
    pieces = st.one_of(
        of.map(lambda one: [one]), of.map(lambda one: [one]), st.sampled_from([[SLASH], [SLASH, DEEP, SLASH]])
    )
    return st.lists(pieces, max_size=size).map(lambda lists: without_runs([one for some in lists for one in some]))


def without_runs(tree: Tree) -> Tree:
    """Two stars side by side would be something else."""
    return [one for one, before in zip(tree, [None, *tree], strict=False) if not one == before == STAR]


def choices(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(trees(of, 3), min_size=1, max_size=3).map(tuple)


def rooted(tree: Tree) -> Tree:
    """Without what would make it a path of no file."""
    while tree and tree[0] == SLASH:
        tree = tree[1:]
    while tree and tree[-1] == SLASH:
        tree = tree[:-1]
    return tree or [DEEP]


# Many begin with what is one text, so that there is a prefix.
TEXTS = st.sampled_from([literal("a"), literal("b"), SLASH, SLASH, numbers(7, 0, 0), of_class([("b", "b")], False)])
BEGINNINGS: st.SearchStrategy[Tree] = st.just([]) | st.lists(TEXTS | choices(TEXTS), max_size=6)
PATTERNS = st.builds(add, BEGINNINGS, trees(TOKENS | choices(TOKENS | choices(TOKENS)), 6)).map(rooted)


def written(tree: Tree) -> str:
    return "".join(one.written if isinstance(one, Token) else f"{{{','.join(map(written, one))}}}" for one in tree)


def written_out(tree: Tree) -> list[list[Token]]:
    """Without choices: all that can be chosen, in turn."""
    ways = (
        [[one]] if isinstance(one, Token) else [way for chosen in one for way in written_out(chosen)] for one in tree
    )
    return [[token for way in chosen for token in way] for chosen in product(*ways)]


def is_meant(tree: Tree, path: str) -> bool:
    return any(is_path(segments(tokens), path.split("/")) for tokens in written_out(tree))


def segments(tokens: list[Token]) -> list[list[Token]]:
    cuts = [at for at, token in enumerate(tokens) if token == SLASH]
    return [tokens[after + 1 : until] for after, until in zip([-1, *cuts], [*cuts, len(tokens)], strict=True)]


def is_path(wanted: list[list[Token]], names: list[str]) -> bool:
    match wanted:
        case []:
            return not names
        case [[token]] if token == DEEP:
            return bool(names)
        case [[token], *others] if token == DEEP:
            return any(is_path(others, names[skipped:]) for skipped in range(len(names) + 1))
        case [tokens, *others]:
            return bool(names) and is_name(tokens, names[0]) and is_path(others, names[1:])
    raise AssertionError


def is_name(tokens: list[Token], name: str) -> bool:
    if not tokens:
        return not name
    return any(tokens[0].is_text(name[:end]) and is_name(tokens[1:], name[end:]) for end in range(len(name) + 1))


def paths_of(tree: Tree, seed: int, how_many: int) -> list[str]:
    """Some that it matches, and as many that differ from such by a little."""
    drawn = random.Random(seed)
    ways = written_out(tree)
    found: list[str] = []
    for number in range(how_many):
        path = "".join(drawn.choice(token.samples) for token in drawn.choice(ways))
        at = drawn.randint(0, len(path))
        other = drawn.choice(["", "/", "\n", ".", *CHARACTERS])
        found.append(
            path
            if number % 2
            else drawn.choice(
                [path[:at] + other + path[at + 1 :], path[:at] + other + path[at:], path.replace("//", "/")]
            )
        )
    return found


def literal_beginning(tokens: list[Token]) -> str:
    return "".join(token.samples[0] for token in takewhile(is_one_text, tokens))


def is_one_text(token: Token) -> bool:
    return len(token.samples) == 1 and not token.written.startswith("[!")


@settings(max_examples=100, deadline=None)
@given(PATTERNS, st.integers(0, 10**9))
def test_a_pattern_means_what_its_tree_means_in_both_readings_of_its_text(tree: Tree, seed: int) -> None:
    pattern = compiled(written(tree))
    paths = paths_of(tree, seed, 20)
    meant = [is_meant(tree, path) for path in paths]
    assert [pattern.matches(path) for path in paths] == meant
    assert [re.fullmatch(pattern.regex, path) is not None for path in paths] == meant


@settings(max_examples=100, deadline=None)
@given(PATTERNS, st.integers(0, 10**9))
def test_every_match_begins_with_the_prefix_and_shares_no_longer_one(tree: Tree, seed: int) -> None:
    pattern = compiled(written(tree))
    paths = paths_of(tree, seed, 20)
    assert [path for path in paths if is_meant(tree, path) and not path.startswith(pattern.prefix)] == []
    beginnings = [literal_beginning(tokens) for tokens in written_out(tree)]
    shared = "".join(one[0] for one in takewhile(lambda some: len(set(some)) == 1, zip(*beginnings, strict=False)))
    assert pattern.prefix == shared[: shared.rfind("/") + 1]


def by_engine(client: Client, asked: list[tuple[str, tuple[str, ...]]]) -> list[list[bool]]:
    """What an engine says of several patterns, each with paths of its own."""
    parameters: dict[str, object] = {}
    columns: list[str] = []
    for number, (text, paths) in enumerate(asked):
        parameters |= {f"regex_{number}": compiled(text).regex, f"paths_{number}": list(paths)}
        columns.append(f"arrayMap(path -> match(path, {{regex_{number}:String}}), {{paths_{number}:Array(String)}})")
    [row] = client.query(f"SELECT {', '.join(columns)}", parameters).result_rows
    return [list(map(bool, answers)) for answers in row]


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)
@given(st.lists(st.tuples(PATTERNS, st.integers(0, 10**9)), min_size=1, max_size=12))
def test_python_and_clickhouse_agree_on_every_regex(client: Client, drawn: list[tuple[Tree, int]]) -> None:
    asked = [(written(tree), tuple(paths_of(tree, seed, 12))) for tree, seed in drawn]
    assert by_engine(client, asked) == [
        [re.fullmatch(compiled(text).regex, path) is not None for path in paths] for text, paths in asked
    ]


def of(year: int, month: int | None = None, day: int | None = None) -> tuple[date, date]:
    first = date(year, month or 1, day or 1)
    following = {None: date(year + 1, 1, 1)} if month is None else {None: date(year + month // 12, month % 12 + 1, 1)}
    return first, following[None] - timedelta(days=1) if day is None else first


FIFTH = of(2026, 1, 5)
DAYS = {
    "year=2026/month=1/day=05/x": FIFTH,
    "y=2026/m=01/d=5/x": FIFTH,
    "yyyy=2026/mm=01/dd=05/x": FIFTH,
    "day=5/x/month=1/year=2026/y": FIFTH,
    "year=2026/mm=1/d=5": FIFTH,
    "dt=2026-01-05/x": FIFTH,
    "dt=2026-1-5/x": FIFTH,
    "dt=2026_01_05/x": FIFTH,
    "a/date=20260105/b": FIFTH,
    "2026/01/05/x": FIFTH,
    "2026/01/05": FIFTH,
    "2026/01/05.csv": of(2026, 1),
    "year=2026/month=01/dt=2026-01-05": FIFTH,
    "a/2026/1/5/x": FIFTH,
    "2025/2026/01/05/x": FIFTH,
    "x/of-2026-01-05.csv": FIFTH,
    "x2026_01_05x/y": FIFTH,
    "20260105T101500.csv": FIFTH,
    "event_date=2026-01-05/x": FIFTH,
    "dt=2026-01-05T10/x": FIFTH,
    "2024-02-29": of(2024, 2, 29),
    # The most specific, then keys, then the last.
    "year=2025/month=12/2026-01-05.csv": FIFTH,
    "2027/03/2026/01/05/x": FIFTH,
    "dt=2026-01-05/2026-01-09.csv": FIFTH,
    "year=2026/month=1/day=5/dt=2026-01-06/x": of(2026, 1, 6),
    "dt=2026-01-06/year=2026/month=1/day=5/x": FIFTH,
    "year=2025/year=2026/month=01/day=05/x": FIFTH,
    "2026-01-04/2026/01/05/x": FIFTH,
    "2026/01/04/2026-01-05.csv": FIFTH,
    "2026-01-04_2026-01-05.csv": FIFTH,
    "2026-01-09_2026-01-05.csv": FIFTH,
    "year=2026/dt=2026-01-09/month=1/day=5/x": FIFTH,
    "year=2026/month=01/2025/02/x": of(2026, 1),
    "year=2026/2025/x": of(2026),
    # What is no date counts for nothing.
    "dt=2026-02-30/of-20260105.csv": FIFTH,
    "2026-01-05/part-20261399.csv": FIFTH,
    "dt=2026-02-30/x": None,
    "year=2026/month=02/day=30/x": None,
    "year=2026/month=13/x": None,
    "2026/02/30/x": None,
    "2023-02-29": None,
    "dt=9999-12-31/x": None,
    "12345678/x": None,
    "1969/x": None,
    "2149/x": None,
    # Digits that go on are another number.
    "120260105": None,
    "20260105101500": None,
    "12026-01-05": None,
    "2026-01-051": None,
    "2026-01_05": None,
    "a2026/b": None,
    # A month, a year.
    "year=2026/month=02/x": of(2026, 2),
    "2024/2/x": of(2024, 2),
    "y=2026/m=12/x": of(2026, 12),
    "year=2026/month=1/day=__HIVE_DEFAULT_PARTITION__/x": of(2026, 1),
    "year=2026/x": of(2026),
    "a/2026/x": of(2026),
    "2026": of(2026),
    "year=2026/day=5/x": of(2026),
    "2148/x": of(2148),
    "month=1/day=5/x": None,
    "year=26/x": None,
    "team=2026/x": None,
    "٢٠٢٦/x": None,
    "": None,
    "a/b.csv": None,
}


@pytest.mark.parametrize(("path", "days"), DAYS.items())
def test_a_path_names_the_days_that_it_seems_to(path: str, days: tuple[date, date] | None) -> None:
    assert days_of(path) == days
    assert day_of(path) == (days[0] if days and days[0] == days[1] else None)


RECENT = {
    "a/year=*/month=*/day=*/*.csv": (
        "a/year=2026/month=01/day=05/", "a/year=2026/month=01/day=5/",
        "a/year=2026/month=1/day=05/", "a/year=2026/month=1/day=5/",
        "a/year=2026/month=11/day=30/",
    ),
    "d=*/m=*/y=*/hour=*/**": (
        "d=05/m=01/y=2026/", "d=05/m=1/y=2026/", "d=30/m=11/y=2026/", "d=5/m=01/y=2026/", "d=5/m=1/y=2026/",
    ),
    "[a]/{b,b}*/dt=*/x": None,
    r"a\*b/dt=*/x/*": (
        "a*b/dt=2026-01-05/", "a*b/dt=2026-1-5/", "a*b/dt=2026-11-30/", "a*b/dt=20260105/", "a*b/dt=20261130/",
        "a*b/dt=2026_01_05/", "a*b/dt=2026_11_30/",
    ),
    "a/dt=*/year=*/**": (
        "a/dt=2026-01-05/", "a/dt=2026-1-5/", "a/dt=2026-11-30/", "a/dt=20260105/", "a/dt=20261130/",
        "a/dt=2026_01_05/", "a/dt=2026_11_30/",
    ),
    "dt=*": None,
    "year=*/month=*/day=*": None,
    "year=*/month=*/x": None,
    "year=*/month=*/month=*/x": None,
    "year=*/month=*/hour=*/day=*/x": None,
    "year=*/b/month=*/day=*/x": None,
    "year=*/month=*/day=*x/x": None,
    "year=2026/month=*/day=*/x": None,
    "dt=2026*/x": None,
    "dt={*,}/x": None,
    "*/dt=*/x": None,
    "a/**/dt=*/x": None,
    "ds=*/x": None,
    "**": None,
    "a/b": None,
}  # fmt: skip


@pytest.mark.parametrize(("text", "prefixes"), RECENT.items())
def test_the_prefixes_of_days_are_there_in_every_spelling(text: str, prefixes: tuple[str, ...] | None) -> None:
    days = [date(2026, 11, 30), date(2026, 1, 5), date(2026, 1, 5)]
    assert recent_prefixes(compiled(text), iter(days)) == prefixes
    assert recent_prefixes(compiled(text), []) == (None if prefixes is None else ())


@given(
    st.dates(date(1970, 1, 1), date(2148, 12, 31)), st.sets(st.dates(date(2026, 1, 1), date(2026, 3, 1)), max_size=3)
)
def test_a_day_lies_below_its_prefixes_and_below_no_others(day: date, others: set[date]) -> None:
    spellings = [
        ("x/year=*/m=*/day=*/*", f"x/year={day.year}/m={month}/day={number}/y")
        for month, number in product({day.month, f"{day:%m}"}, {day.day, f"{day:%d}"})
    ]
    spellings += [
        ("x/date=*/**", f"x/date={value}/y/z")
        for value in (f"{day}", f"{day:%Y%m%d}", f"{day:%Y_%m_%d}", f"{day.year}-{day.month}-{day.day}")
    ]
    for text, path in spellings:
        pattern = compiled(text)
        assert pattern.matches(path)
        assert day_of(path) == day
        assert path.startswith(recent_prefixes(pattern, [day, *others]) or ())
        assert not path.startswith(recent_prefixes(pattern, others - {day}) or ())
