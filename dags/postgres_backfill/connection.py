"""From a pipeline's declaration to what ClickHouse is handed so that it reads PostgreSQL; nothing secret in any text.

Values are bound by the engine, so that no statement holds a password: not in its logs, not in an error, not where it
does not parse. What is read of a certificate is its own file's text, for ClickHouse takes no path from a statement.

A TLS mode is never weakened. ClickHouse asks for TLS and verifies nothing unless it is told otherwise (libpq's
``prefer``); where an address asks for more, ClickHouse is told, and one that cannot be told refuses before it connects.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, unquote

from dags.clickhouse.rights import LacksRightError
from dags.clickhouse.sql import Part
from dags.domain.errors import SettingsError, UserError
from dags.postgres_backfill.source_failures import FailureKind, SourceFailure, in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dags.sources.declaration import Pipeline

EXPECTED = (
    "expected postgresql://user:password@host:5432/database, user and password percent-encoded, with "
    "?sslmode=verify-full&sslrootcert=/path/of/ca.pem where TLS is to be verified"
)

DEFAULT_PORT = 5432

# By these the one who answers is verified, if not his name; libpq has it so for `require` with a root certificate.
_VERIFYING = ("verify-ca", "verify-full")
# ClickHouse's own default is no weaker than these, and a 26.7 can be told no mode.
_WEAK = ("", "disable", "allow", "prefer")
SSL_MODES = (*_WEAK[1:], "require", *_VERIFYING)
OPTIONS = ("sslmode", "sslrootcert")

# A bundle of all public authorities has a quarter of it.
MAX_CERTIFICATE_BYTES = 1_000_000

# A password that is shorter may be part of a word, `postgres` for one, and is looked for as a whole word.
_WORD_CHARACTERS = 12

_ADDRESS = re.compile(
    r"(?P<scheme>[A-Za-z0-9+.-]*)://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?P<host>\[[^\]/?#]*\]|[^:/?#@\[\]]*)(?::(?P<port>[^/?#@]*))?(?:/(?P<database>[^?#]*))?(?:\?(?P<options>[^#]*))?"
)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII)
_OPTION = re.compile(r"[A-Za-z_]\w{0,39}", re.ASCII)


@dataclass(frozen=True)
class Connection:
    """A database of PostgreSQL as ClickHouse reaches it.

    ``whom`` names it in answers and ``notes`` say what a person should know of it, both without a secret. ``function``
    stands after FROM; it binds what `parameters` has. Neither ``repr`` nor ``str`` has the password, and it is not
    pickled, since a pickle is a text too.
    """

    whom: str
    function: Part
    notes: tuple[str, ...]
    variable: str
    _bound: Mapping[str, str] = field(repr=False)
    _secrets: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, pipeline: Pipeline, environment: Mapping[str, str]) -> Connection:
        """How the database of a pipeline is reached; an address is read from the variable that the pipeline names.

        Raises:
            SettingsError: it is unset, or no such address; every problem at once, and nothing of it repeated.
        """
        if pipeline.named_collection is not None:
            return cls._of_collection(pipeline.named_collection)
        variable = pipeline.dsn_env or ""
        text = environment.get(variable, "").strip()
        if not text:
            raise SettingsError(
                f"{variable}, which the pipeline {pipeline.name} names as dsn_env, is not set; {EXPECTED}"
            )
        address = _Address(text)
        if address.problems:
            listed = "\n".join(f"- {one}" for one in address.problems)
            raise SettingsError(
                f"{variable}, the address of the pipeline {pipeline.name}, cannot be used, nothing was touched; "
                f"{EXPECTED}\n{listed}"
            )
        return cls._of_address(variable, address)

    @classmethod
    def _of_address(cls, variable: str, address: _Address) -> Connection:
        tls = {"sslmode": address.ssl_mode, "sslrootcert_pem": address.certificate}
        told = {} if address.ssl_mode in _WEAK else {name: value for name, value in tls.items() if value}
        arguments = ["{address:String}", "{database:String}", "query({text:String})", "{user:String}"]
        arguments += ["{password:String}", *(f"{name} = {{{name}:String}}" for name in told)]
        where = f"{address.host}:{address.port}"
        whom = f"PostgreSQL at {address.user}@{where}/{address.database}"
        return cls(
            whom=whom,
            function=Part(f"postgresql({', '.join(arguments)})"),
            notes=_notes(variable, address),
            variable=variable,
            _bound={
                "address": where,
                "database": address.database,
                "user": address.user,
                "password": address.password,
                **told,
            },
            _secrets=_forms(address.text, address.password),
        )

    @classmethod
    def _of_collection(cls, name: str) -> Connection:
        return cls(
            whom=f"PostgreSQL of the named collection {name}",
            function=Part(f"postgresql({name}, query = {{text:String}})"),
            notes=(f"the named collection {name} says whether TLS is verified; ClickHouse does not tell",),
            variable=f"the named collection {name}",
            _bound={},
            _secrets=(),
        )

    def parameters(self, text: str) -> dict[str, str]:
        """What a statement with ``function`` binds so that PostgreSQL gets ``text``, which must be ours or vetted."""
        return {**self._bound, "text": text}

    def hidden_in(self, text: str) -> str:
        """A text without the password and without the address, in whatever quoting they stand there."""
        for secret in self._secrets:
            bounds = ("", "") if len(secret) >= _WORD_CHARACTERS else (r"(?<!\w)", r"(?!\w)")
            text = re.sub(f"{bounds[0]}{re.escape(secret)}{bounds[1]}", "[hidden]", text)
        return text

    def in_words(self, error: BaseException) -> SourceFailure:
        """What came back from the engine: its kind, and in words what it is about, what was said and what to do."""
        said = self.hidden_in(str(error))
        if isinstance(error, LacksRightError):
            return SourceFailure(FailureKind.PERMISSION, said)
        if isinstance(error, UserError):
            return SourceFailure(FailureKind.OTHER, said)
        return in_words(said, getattr(error, "name", None), whom=self.whom, address=self.variable)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a connection holds a password and is not pickled: pass the pipeline, and make it anew")


def _notes(variable: str, address: _Address) -> tuple[str, ...]:
    asked = f"sslmode={address.ssl_mode}" if address.ssl_mode else "no sslmode"
    if address.ssl_mode in _WEAK:
        said = "TLS is used where PostgreSQL offers it, and who answers is not verified. sslmode=verify-full does that"
    elif address.ssl_mode == "require" and not address.certificate:
        said = "TLS is used, and who answers is not verified. sslmode=verify-full does that"
    elif address.ssl_mode != "verify-full":
        said = "the certificate of who answers is verified, and its host name is not. sslmode=verify-full does both"
    else:
        return ()
    return (f"{variable} has {asked}: {said}",)


def _forms(text: str, password: str) -> tuple[str, ...]:
    """An address and its password as they may stand in a text, the longest first."""
    if not password:
        return (text,)
    escaped = password.replace("\\", "\\\\")
    forms = {text, password, quote(password, safe=""), quote(password), escaped, repr(password)[1:-1]}
    forms |= {password.replace("'", "''"), escaped.replace("'", "\\'"), escaped.replace("'", "''")}
    forms |= {escaped.replace("'", "\\'").replace("\\", "\\\\"), escaped.replace('"', '\\"')}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


class _Address:
    """An address taken apart, with all that is wrong with it; no problem repeats a value, for each may be secret."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[str] = []
        self.user = self.password = self.host = self.database = self.ssl_mode = self.certificate = ""
        self.port = DEFAULT_PORT
        if not text.isprintable():
            self.problems.append("it holds a line end or another sign that does not print")
            return
        found = _ADDRESS.fullmatch(text)
        if found is None:
            self.problems.append(
                "it cannot be taken apart: in user and password each of / ? # @ : [ ] % is percent-encoded, and "
                "nothing stands after a '#'"
            )
            return
        if found["scheme"] not in ("postgresql", "postgres"):
            self.problems.append("the scheme is not postgresql")
        if "@" in (found["database"] or "") + (found["options"] or ""):
            # What seems to be the name of an option may be the end of a password.
            self.problems.append("a '/', '?' or '#' in user or password is not percent-encoded")
            return
        self._take_host(found["host"], found["port"])
        self.user = self._decoded("user", found["user"] or "")
        self.password = self._decoded("password", found["password"] or "")
        self.database = self._decoded("database", found["database"] or "")
        for what, value in (("user", found["user"]), ("host", found["host"]), ("database", found["database"])):
            if not value:
                self.problems.append(f"no {what} is given")
        self._take_options(found["options"] or "")

    def _take_host(self, host: str, port: str | None) -> None:
        hosts_and_port = host + (port or "")
        if "," in hosts_and_port:
            self.problems.append(
                "it names several hosts: give one, for batches that come of different ones do not fit together"
            )
        elif host and not _HOST.fullmatch(host):
            self.problems.append("the host is no name and no address: sockets and patterns are not taken")
        elif port is not None and not (re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= 65535):  # noqa: PLR2004 -- TCP's
            self.problems.append("the port is no number from 1 to 65535")
        else:
            self.host, self.port = host, int(port or DEFAULT_PORT)

    def _take_options(self, options: str) -> None:
        given: dict[str, str] = {}
        for option in filter(None, options.split("&")):
            name, _, value = option.partition("=")
            if name not in OPTIONS:
                shown = f"{name} is" if _OPTION.fullmatch(name) else "what stands after the '?' is"
                self.problems.append(f"{shown} no option of it: there are {' and '.join(OPTIONS)}")
            elif name in given or not value:
                self.problems.append(f"{name} is given twice or without a value")
            else:
                given[name] = self._decoded(name, value)
        self.ssl_mode = given.get("sslmode", "")
        if "sslmode" in given and self.ssl_mode not in SSL_MODES:
            self.problems.append(f"sslmode is none of {', '.join(SSL_MODES)}")
        if "sslrootcert" in given:
            if self.ssl_mode in _WEAK:
                self.problems.append("sslrootcert verifies nothing by itself: give sslmode=verify-full with it")
            self._take_certificate(Path(given["sslrootcert"]))
        elif self.ssl_mode in _VERIFYING:
            self.problems.append(f"sslmode={self.ssl_mode} needs sslrootcert, the path of a PEM file")

    def _take_certificate(self, path: Path) -> None:
        if not path.is_absolute():
            self.problems.append("sslrootcert is no absolute path: give that of a PEM file, `system` is not taken")
            return
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            with os.fdopen(handle, "rb") as opened:
                is_file = stat.S_ISREG(os.fstat(handle).st_mode)
                content = opened.read(MAX_CERTIFICATE_BYTES + 1) if is_file else b""
        except OSError as error:
            self.problems.append(f"sslrootcert cannot be read: {error.strerror}")
            return
        # Nothing but certificates is sent: a key, or what else is in the file, is nobody's business.
        found = "\n".join(_CERTIFICATE.findall(content.decode("latin-1")))
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=found)
        except (ssl.SSLError, ValueError):
            found = ""
        if not found or len(content) > MAX_CERTIFICATE_BYTES:
            self.problems.append(
                f"sslrootcert is no PEM file of certificates, of {MAX_CERTIFICATE_BYTES:,} bytes at most"
            )
        self.certificate = f"{found}\n"

    def _decoded(self, what: str, text: str) -> str:
        """Percent-decoded; what decodes to another text than was meant would be a wrong password."""
        try:
            plain = unquote(text, errors="strict")
        except UnicodeDecodeError:
            plain = "\0"
        if re.search(r"%(?![0-9A-Fa-f]{2})", text) or not plain.isprintable():
            self.problems.append(f"the {what} is not percent-encoded UTF-8 of signs that print (a '%' itself is %25)")
        return plain
