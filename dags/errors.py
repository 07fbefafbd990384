"""The errors this project raises on purpose.

Each message names the thing, its value, what was expected and the next step, so that the terminal and the UI need
no traceback to be understood.
"""

from __future__ import annotations


class UserError(Exception):
    """Something a person can put right: a setting, a schema, a table, a list of teams."""


class SettingsError(UserError):
    """One or more settings are not usable; the message has a line for each."""


class EngineError(UserError):
    """ClickHouse cannot be reached, or refused what was asked."""


class SchemaError(UserError):
    """The database's tables are not those that this code works with."""


class BuildError(UserError):
    """A build was refused, or what it staged is not what its source says; readers still see the old data."""


class LeaseError(BuildError):
    """A (table, day) is in another run's hands, or was taken from this one; nothing of it is published."""
