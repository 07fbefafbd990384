"""Where the files of an ingestion lie, as ClickHouse reaches it.

ClickHouse itself lists and reads, so that one identity sees one and the same. Keys of access are read from the
variables that the declaration names, are bound by the server, and stand in no text of a statement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, urlsplit

from dags.clickhouse.sql import Part
from dags.domain.errors import SettingsError
from dags.domain.expression import Expression
from dags.file_ingestion.patterns import common_directory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dags.sources.ingestions import Ingestion

PACKAGE = "dags.file_ingestion"

# Hosts that have the bucket's name before their own; every other has it as the first part of the path.
_BUCKET_FIRST = re.compile(r"(?P<bucket>.+)\.(?:s3[.-].*amazonaws\.com.*|storage\.googleapis\.com)")

# What an address or a pattern of ClickHouse takes as it stands; a directory with anything else is found by its names.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_.=-]+/)*")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_.=/-]+")

# What means something in a pattern of ClickHouse.
_MEANS = re.compile(r"[*?{},\[\]\\]")

# Objects below a directory are listed a thousand a request, and each that is asked for by its name is a request too: of
# moto's, one of names takes as long as 25 of these. The second is more than a statement asks for.
OBJECTS_A_NAME, EVERY_NAME = 40, 1_000

# Letters of keys that are too short to be told from a word.
_SHORTEST_SECRET = 4


@dataclass(frozen=True)
class Location:
    """The root of an ingestion's files.

    ``root`` is what ClickHouse has in front of a path below it. ``function`` stands after FROM; it binds what
    `parameters` has. Neither ``repr`` nor ``str`` has a key, and it is not pickled, since a pickle is a text too.
    """

    whom: str
    is_directory: bool
    root: str
    address: str
    function: Part
    _bound: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, ingestion: Ingestion, environment: Mapping[str, str]) -> Location:
        """Where an ingestion's files lie.

        Raises:
            SettingsError: a variable that it names is not set.
        """
        path = ingestion.source_path
        if ingestion.is_directory:
            function = "file({address:String}, {format:String}, {structure:String})"
            return cls(f"the directory {path}", True, path, path, Part(function), {})
        keys = {"access_key": ingestion.access_key_env, "secret_key": ingestion.secret_key_env}
        bound = {name: environment.get(variable, "") for name, variable in keys.items() if variable is not None}
        if lacking := [str(keys[name]) for name, value in bound.items() if not value]:
            raise SettingsError(
                f"{' and '.join(lacking)}, which the ingestion {ingestion.name} names, are not set: set them to the "
                "keys of the storage"
            )
        arguments = ["{address:String}", *(f"{{{name}:String}}" for name in bound), "{format:String}"]
        function = f"s3({', '.join([*arguments, '{structure:String}'])})"
        if ingestion.named_collection is not None:
            named = "url = {address:String}, format = {format:String}, structure = {structure:String}"
            function = f"s3({ingestion.named_collection}, {named})"
        return cls(path, False, _root(path), _address(path), Part(function), bound)

    @property
    def path(self) -> Expression:
        """What a file is named by, in a statement that reads it. Below ``**`` a directory's have a slash too many."""
        return Expression("replaceAll(_path, '//', '/')" if self.is_directory else "_path")

    @property
    def packed(self) -> Part:
        """What stands after FROM where files are read as they are stored, not unpacked."""
        name = "compression_method = " if "structure = " in self.function else ""
        return Part(f"{self.function[:-1]}, {name}'none')")

    def parameters(self, below: str, format_: str, columns: str) -> dict[str, str]:
        """What a statement with ``function`` binds so that it is of the files that a pattern of ClickHouse has."""
        return {**self._bound, "address": f"{self.address}{below}", "format": format_, "structure": columns}

    def parameters_of(self, paths: Sequence[str], format_: str, columns: str) -> dict[str, str]:
        """What a statement with ``function`` binds so that it is of these paths, and hardly of others: it names them
        itself too.

        Objects are found by their names without a listing. In a directory a pattern would be looked for in all that is
        below it, so the paths are written out, with any sign where one means something in a pattern.
        """
        if self.is_directory:
            written = ",".join(_MEANS.sub("?", one) for one in paths)
            return self.parameters(f"{{{written}}}", format_, columns)
        return self.parameters(f"{plain_prefix(common_directory(paths))}**/*", format_, columns)

    @staticmethod
    def by_name(paths: Sequence[str], objects: int) -> int:
        """Up to how many of its paths a statement asks for by their names; 0 where it lists what is below them instead.

        ``objects``: so many were there when the files were listed; 0 if that is not known.
        """
        return 0 if 0 < objects <= OBJECTS_A_NAME * len(paths) else EVERY_NAME

    @property
    def skip(self) -> int:
        """How many bytes stand before what is a path below the root."""
        return len(self.root.encode())

    def hidden_in(self, text: str) -> str:
        """A text without the keys, in whichever form a storage may have sent them back."""
        for secret in self._bound.values():
            if len(secret) >= _SHORTEST_SECRET:
                quoted = secret.replace("\\", "\\\\").replace("'", "\\'")
                for form in (quoted, escape(secret), quote(secret, safe=""), secret):
                    text = text.replace(form, "[hidden]")
        return text

    def __reduce__(self) -> NoReturn:
        raise TypeError("a location holds keys and is not pickled: pass the ingestion, and make it anew")


def _address(path: str) -> str:
    """A path as an address has it, in which a space or a '#' is a part of a name."""
    scheme, separator, rest = path.partition("://")
    return f"{scheme}{separator}{quote(rest, safe='/:')}"


def _root(path: str) -> str:
    """What ClickHouse names an object by before the path below the root: bucket and key."""
    parts = urlsplit(path)
    key = parts.path.removeprefix("/")
    if parts.scheme not in ("http", "https"):
        return f"{parts.netloc}/{key}"
    found = _BUCKET_FIRST.fullmatch(parts.netloc)
    return f"{found['bucket']}/{key}" if found is not None else key


def plain_prefix(text: str) -> str:
    """The longest beginning of directories that an address takes as it stands."""
    found = _PLAIN.match(text)
    return found[0] if found is not None else ""


def only(path: str) -> str:
    """A pattern of ClickHouse that has a file, and hardly another: what an address does not take is any text there."""
    return _NOT_PLAIN.sub("*", path)
