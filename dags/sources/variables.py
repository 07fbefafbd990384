"""What the variables hold that a declaration names, addresses and keys of sources: the environment's, else a file's.

As settings have it: a file of the directory of secrets that has a variable's name, in capitals or not, holds its value,
and what is in both is the environment's. A file is read when it is asked for, and no other one is looked into.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dags.domain.errors import SettingsError
from dags.settings import SECRETS_DIRECTORY, current_settings

if TYPE_CHECKING:
    from pathlib import Path

    from dags.settings import Settings

# An address with all that libpq knows, or a key, has a hundredth of it.
MAX_BYTES = 65_536


class Variables(Mapping[str, str]):
    """The variables of an environment, and beside them those that lie as files in a directory.

    A value that is empty counts as unset, as in settings; so does one of blanks.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self._directory, self._environment = settings.secrets_directory, environment

    def __getitem__(self, name: str) -> str:
        """The value.

        Raises:
            KeyError: it is nowhere.
            SettingsError: the file that holds it cannot be read, is no text, or lies elsewhere; nothing of it is told.
        """
        if self._environment.get(name, "").strip():
            return self._environment[name]
        for path in self._files():
            if path.name.upper() == name.upper():
                return self._read(name, path)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter({*self._environment, *(path.name.upper() for path in self._files())})

    def __len__(self) -> int:
        return len([*iter(self)])

    def _files(self) -> list[Path]:
        """In order of their names: of two that differ in capitals alone the same one always."""
        if self._directory is None:
            return []
        try:
            return sorted(path for path in self._directory.iterdir() if path.is_file())
        except OSError as error:
            raise SettingsError(
                f"{SECRETS_DIRECTORY} is {str(self._directory)!r}, which cannot be read: {error.strerror}"
            ) from None

    def _read(self, name: str, path: Path) -> str:
        words = f"{name} is to be read from {path}, which"
        if self._directory is None or not path.resolve().is_relative_to(self._directory.resolve()):
            raise SettingsError(f"{words} leads out of {self._directory}: let the file itself lie there")
        try:
            with path.open("rb") as opened:
                content = opened.read(MAX_BYTES + 1)
        except OSError as error:
            raise SettingsError(f"{words} cannot be read: {error.strerror}. Let this user read it") from None
        if len(content) > MAX_BYTES:
            raise SettingsError(f"{words} is larger than {MAX_BYTES:,} bytes: no address and no key is")
        try:
            return content.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise SettingsError(f"{words} is no UTF-8 text") from None


def variables() -> Variables:
    """Those of this process."""
    return Variables(current_settings(), os.environ)
