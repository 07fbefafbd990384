"""What a kind of work says of itself, so that everything else here serves any kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from clickhouse_connect.driver.client import Client

    from dags.work.audit.log import Work


@dataclass(frozen=True)
class KindOfWork:
    """A kind of work that people ask for.

    ``name`` is what the log has, ``word`` what people call one: ``backfill`` has a ``backfill_id``, and jobs that are
    called ``show_backfills_job`` and ``resume_backfill_job``. ``subject`` is what reports call what is worked on.

    ``fence`` drops what some runs have begun and not published, before another acts in their place. ``discard`` drops
    what is kept of a piece of work, and answers in words what that was. ``give_up`` clears away what must not be there
    of one that is cancelled, and answers likewise; whoever holds its lease asks for it. ``undo_job`` takes one to its
    end that is half taken back; empty where nothing is ever taken back. ``resume_all_job`` ends a stop of all of them.
    ``show_job`` lists them, where that is called otherwise. ``beside`` are other kinds that are listed with this one
    and that no person controls, each with what to say to who tries.
    """

    name: str
    word: str
    fence: Callable[[Client, Collection[str]], None]
    discard: Callable[[Client, Work], str]
    give_up: Callable[[Client, Work, str], str] | None = None
    subject: str = "subject"
    undo_job: str = ""
    resume_all_job: str = ""
    show_job: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> tuple[str, ...]:
        """The kinds that its lists show."""
        return (self.name, *self.beside)

    @property
    def id_field(self) -> str:
        """What jobs and reports call the id of one."""
        return f"{self._name}_id"

    def job(self, verb: str) -> str:
        """The job that does something with one of them."""
        if verb == "show" and self.show_job:
            return self.show_job
        return f"{verb}_{self._name}{'s' if verb == 'show' else ''}_job"

    @property
    def _name(self) -> str:
        """Its word where a name may have no hyphen."""
        return self.word.replace("-", "_")

    def named(self, work: Work) -> dict[str, str]:
        """What a report says first: which piece of work, and what it works on."""
        return {self.id_field: work.work_id, self.subject: work.subject}
