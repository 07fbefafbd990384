"""Vets the text of a declared query, so that it can stand within parentheses in a statement for PostgreSQL.

ClickHouse hands a query on as ``COPY (SELECT … FROM (<text>) AS …) TO STDOUT``, which PostgreSQL takes as a script: who
closes the parenthesis and gives a semicolon has a statement of his own there, outside the transaction that only reads.
So the text is scanned as PostgreSQL's lexer does, as far as that is the same in every session: what could be read in
two ways is refused, and so is what a query can do without. A text that passes is one statement and stays within.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

import re

from dags.domain.errors import UserError
from dags.sources.file import MAX_QUERY_BYTES

FIRST_WORDS = ("SELECT", "WITH", "VALUES", "TABLE")

# More are not worth a list: the file is another than was meant.
MAX_PROBLEMS = 20

BACKSLASH = "a backslash, which sessions read in different ways: write the character, or chr(92)"
NUL = "the character NUL, which no query has"
LINE_END = "\n"

# What stands for itself; in it nothing begins. Line ends are those of PostgreSQL, for which either sign is one.
_PLAIN = re.compile(r"[^'\"\-/;\\$()\0]+")
_LINE_COMMENT = re.compile(r"--[^\n\r]*")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_QUOTED = {"'": re.compile(r"'(?:[^']|'')*'"), '"': re.compile(r'"(?:[^"]|"")*"')}
_NAMES = {"'": "a literal", '"': "an identifier"}
# In it a backslash, or what UESCAPE names in its place, begins a character.
_ESCAPING = re.compile(r"(?<![A-Za-z0-9_])[Uu]&\Z")
# What is another thing in every batch of a load, so that its batches would not fit together.
_CALLED = re.compile(
    r"\b(random|setseed|gen_random_uuid|uuid_generate_v\w+|clock_timestamp|statement_timestamp|transaction_timestamp|"
    r"timeofday|now|nextval)\s*\Z",
    re.IGNORECASE,
)
_MOMENTS = re.compile(
    r"\b(current_date|current_time|current_timestamp|localtime|localtimestamp|tablesample)\b", re.IGNORECASE
)
_CUT = re.compile(r"\b(limit|offset|fetch)\b", re.IGNORECASE)
_FIRST_WORD = re.compile(r"[\s(]*([A-Za-z_]*)")


def vetted(text: str) -> str:
    """The query without its comments and without a semicolon at its end, to stand within parentheses.

    Raises:
        UserError: it is no such query; every violation at once, each with its line.
    """
    if (size := len(text.encode(errors="replace"))) > MAX_QUERY_BYTES:
        raise UserError(f"the declared query cannot be used: it has {size:,} bytes, give at most {MAX_QUERY_BYTES:,}")
    scan = _Scan(text)
    if scan.problems:
        found = sorted(scan.problems)
        shown = [f"line {text.count(LINE_END, 0, at) + 1}: {why}" for at, why in found[:MAX_PROBLEMS]]
        more = [f"and {len(found) - MAX_PROBLEMS:,} more"] if len(found) > MAX_PROBLEMS else []
        raise UserError("\n".join(["the declared query cannot be used, nothing was touched:", *shown, *more]))
    return scan.query


class _Scan:
    """One pass over a text: what remains of it, and what is wrong with it."""

    def __init__(self, text: str) -> None:
        # Where, and why.
        self.problems: list[tuple[int, str]] = []
        self._text = text
        self._kept: list[str] = []
        self._at = 0
        # Where each parenthesis was opened that is not closed yet.
        self._open: list[int] = []
        # A semicolon may be the last sign; where the first is.
        self._end: int | None = None
        while self._at < len(text):
            self._take()
        self._finish()

    @property
    def query(self) -> str:
        return "".join(self._kept).strip()

    def _take(self) -> None:
        text, at = self._text, self._at
        if (plain := _PLAIN.match(text, at)) is not None:
            self._refuse_unsteady(plain)
            self._keep(plain[0])
        elif text.startswith("--", at):
            comment = _LINE_COMMENT.match(text, at)
            self._at = comment.end() if comment else len(text)
            self._kept.append(" ")
        elif text.startswith("/*", at):
            self._skip_comment()
        elif text[at] in _QUOTED:
            self._take_quoted(text[at])
        else:
            self._take_sign(text[at])

    def _refuse_unsteady(self, plain: re.Match[str]) -> None:
        """Batches are read one after the other, and each has to be of the same rows as the one before."""
        found = [*_MOMENTS.finditer(plain[0]), *([] if self._open else _CUT.finditer(plain[0]))]
        if self._text.startswith("(", plain.end()):
            found += _CALLED.finditer(plain[0])
        for one in found:
            self._refuse(
                plain.start() + one.start(),
                f"{one[1].lower()}, which is another thing in every batch: write what is meant, or filter by it",
            )

    def _keep(self, part: str) -> None:
        """It is of the query, unless the query has ended."""
        if self._end is not None and part.strip():
            self._refuse(self._end, "a semicolon: give one statement, and a semicolon at its end if at all")
            self._end = None
        self._kept.append(part)
        self._at += len(part)

    def _take_sign(self, sign: str) -> None:
        at = self._at
        if sign == ";" and self._end is None:
            self._end = at
            self._at += 1
            return
        if sign == "\\":
            self._refuse(at, BACKSLASH)
        elif sign == "$":
            self._refuse(at, "a '$' outside quotes: write literals in '…', and values in place of parameters")
        elif sign == "\0":
            self._refuse(at, NUL)
        elif sign == "(":
            self._open.append(at)
        elif sign == ")":
            if not self._open:
                self._refuse(at, "a ')' that nothing opened")
            else:
                self._open.pop()
        self._keep(sign)

    def _take_quoted(self, quote: str) -> None:
        found = _QUOTED[quote].match(self._text, self._at)
        if found is None:
            self._refuse(self._at, f"{_NAMES[quote]} that is not closed")
            self._at = len(self._text)
            return
        if _ESCAPING.search("".join(self._kept[-1:])):
            self._refuse(self._at, f"{_NAMES[quote]} with escapes, U&{quote}…{quote}: write the characters themselves")
        refused = {"\\": BACKSLASH, "\0": NUL}
        for position, sign in enumerate(found[0], self._at):
            if sign in refused:
                self._refuse(position, refused[sign])
        self._keep(found[0])

    def _skip_comment(self) -> None:
        begun, depth = self._at, 0
        for edge in _COMMENT_EDGE.finditer(self._text, begun):
            depth += 1 if edge[0] == "/*" else -1
            if depth == 0:
                self._at = edge.end()
                self._kept.append(" ")
                return
        self._refuse(begun, "a comment that is not closed")
        self._at = len(self._text)

    def _finish(self) -> None:
        for at in self._open:
            self._refuse(at, "a '(' that is not closed")
        first = _FIRST_WORD.match(self.query)
        word = first[1] if first is not None else ""
        if not self.query:
            self._refuse(0, "there is no query: give one SELECT")
        elif word.upper() not in FIRST_WORDS:
            self._refuse(0, f"it does not begin with {', '.join(FIRST_WORDS[:-1])} or {FIRST_WORDS[-1]}")

    def _refuse(self, at: int, why: str) -> None:
        self.problems.append((at, why))
