"""The errors this project raises on purpose.

Each message names the thing, its value, what was expected and the next step, so that the terminal and the UI need
no traceback to be understood.

Pure: no clock, no database, no Dagster.
"""

from __future__ import annotations

from enum import StrEnum


class Outage(StrEnum):
    """What is out of reach, where an error is of nothing else."""

    SERVER = "a server, or every replica of it"
    KEEPER = "Keeper, without which no replica knows what the others have"


class UserError(Exception):
    """Something a person can put right: a setting, a schema, a table, a list of teams."""


class SettingsError(UserError):
    """One or more settings are not usable; the message has a line for each."""


class EngineError(UserError):
    """ClickHouse cannot be reached, or refused what was asked; ``outage`` says so where something is out of reach."""

    def __init__(self, words: str, outage: Outage | None = None) -> None:
        super().__init__(words)
        self.outage = outage


class SilentError(EngineError):
    """Nothing answers at an address; ``said`` is what the driver says of it."""

    def __init__(self, words: str, said: str = "") -> None:
        super().__init__(words, Outage.SERVER)
        self.said = said


class NoDatabaseError(EngineError):
    """A server answers, and does not have the database: a new replica does not yet."""


class EngineBusyError(EngineError):
    """Another process has the embedded engine, which serves one at a time: nothing is the matter with the database."""


class EngineSlowError(EngineError):
    """The embedded engine did not answer in the time that was left: it says nothing about what is in the database."""


class UnreadableError(EngineError):
    """ClickHouse answers, but refuses, or under settings by which its answers cannot be relied on: all is unknown."""


class SchemaError(UserError):
    """The database's tables are not those that this code works with."""


class BuildError(UserError):
    """A build was refused, or what it staged is not what its source says; readers still see the old data."""


class ChangedError(BuildError):
    """Somebody else wrote a day just before it was to be published; an attempt from the start may succeed."""


class ReadBackError(BuildError):
    """A day was published, and what readers see of it is not what was staged: somebody wrote at the same moment."""


class LeaseError(BuildError):
    """A (table, day) is in another run's hands, or was taken from this one; nothing of it is published.

    ``holder`` is whose it is, as leases name a run; empty where nobody holds it.
    """

    def __init__(self, words: str, holder: str = "") -> None:
        super().__init__(words)
        self.holder = holder


class NoLeaseError(LeaseError):
    """Somebody else made a table or a view that is named like a lease: nobody is at work by it, and nobody can be."""


class LeaseLostError(UserError):
    """A managed backfill is in another run's hands now: this one must do nothing more, and say nothing of it."""


class BuiltSinceError(BuildError):
    """Others have written a day since a backfill replaced it; a restore would lose that, so the day stays as it is."""


def outage_of(error: BaseException) -> Outage | None:
    """What is out of reach by an error, where it says so."""
    return error.outage if isinstance(error, EngineError) else None
