"""Carries a plan out, group by group: its files land, are checked each by itself, are attached by the day, recorded.

A group that broke off is done again from its beginning: what had landed is dropped, what was attached is found in the
target by the files' own numbers. Nothing of a file that cannot be loaded whole is there in the end.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import Remedy, remedy
from dags.clickhouse.leases.rules import new_token
from dags.clickhouse.sql import Part, Sql
from dags.domain.errors import UserError
from dags.domain.expression import Expression
from dags.file_ingestion.formats import FIRST_FAULT, format_of
from dags.file_ingestion.location import PACKAGE, list_files, only, plain_prefix
from dags.file_ingestion.patterns import compiled
from dags.file_ingestion.progress import report
from dags.file_ingestion.store import Happened, read_ledger, record
from dags.file_ingestion.values import TIME_FORM
from dags.file_ingestion.versions import FileEvent
from dags.sources.loads.attaching import STAGED_AT_ONCE, Attaching, require_attachable, withdraw
from dags.sources.loads.landing import create_landing, drop_table, drop_tables
from dags.sources.loads.log import LoadEvent
from dags.sources.loads.names import landing_name
from dags.sources.loads.shape import Check
from dags.sources.loads.verdicts import findings, groups
from dags.work.audit.log import Entry, Event, Status
from dags.work.orders import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import date

    from dags.file_ingestion.formats import Columns
    from dags.file_ingestion.location import Location
    from dags.file_ingestion.plan import FileGroup, Plan, PlannedFile
    from dags.sources.loads.landing import Landing
    from dags.work.audit.log import State
    from dags.work.runner import AtWork

# A block of so many rows is a part of the landing table.
_BLOCK_ROWS = 100_000

GONE = "it has no row, or is gone"
CHANGED = "it changed while it was read; the version that is there now is taken with the next run"


@dataclass(frozen=True)
class FileIngestion:
    """What a run of an ingestion brings to the runner of its plan.

    A statement may take so many ``seconds``. ``claim`` holds paths against other runs, and answers those that it could
    have; ``attached`` hears of the days that readers see from then on.
    """

    plan: Plan
    location: Location
    seconds: int
    claim: Callable[[Collection[str]], frozenset[str]]
    attached: Callable[[Mapping[date, int]], None]

    def begin(self, at: AtWork) -> Groups | Ended:
        """Make sure that the target is what was planned, and hold the files that other runs do not."""
        plan, state = self.plan, at.read()
        require_attachable(at.client, plan.target, [one.name for one in plan.columns])
        sequence = sum(entry.event == Event.STARTED for entry in state.entries)
        drop_tables(at.client, at.log.work.work_id)
        at.again(at.lease.confirm)
        left = [one.path for group in plan.groups if not set(group.steps) <= set(state.done) for one in group.files]
        return Groups(self, sequence, self.claim(left))

    def report(self, state: State) -> dict[str, Any]:
        """The final report, for programs."""
        return report(self.plan, state)


@dataclass(frozen=True)
class Groups:
    """The groups of a run that may land. ``ours``: the paths that it holds."""

    ingestion: FileIngestion
    sequence: int
    ours: frozenset[str]

    def why_stop(self, at: AtWork) -> str:  # noqa: ARG002 -- every kind of work is asked
        """Nothing but people stop it."""
        return ""

    def do(self, at: AtWork, chunk: FileGroup, step: str) -> Sequence[Entry]:
        """Load a group. Files that cannot be are recorded with the reason, and keep no other from being loaded."""
        try:
            rows = at.again(Loading(self, at, chunk).done)
        except (UserError, ClickHouseError) as error:
            hidden = self.ingestion.location.hidden_in(str(error))[:1000]
            return [Entry(Event.STEP_FAILED, step=step, chunk=chunk.id, payload=hidden)]
        return [Entry(Event.STEP_DONE, step=step, chunk=chunk.id, rows=rows, source_rows=rows, own_source_rows=rows)]

    def judge(self, at: AtWork) -> Ended:
        """What the run came to: it has failed where a group could not be gone through."""
        drop_tables(at.client, at.log.work.work_id)
        state = at.read()
        failed = [f"{step}: {entry.payload}" for step, entry in state.failed.items() if step not in state.done]
        if failed:
            return Ended(Status.FAILED, f"{failed[0]}. Its files are taken again; go on with it, or ask anew")
        paths = [one.path for group in self.ingestion.plan.groups for one in group.files]
        known = at.again(read_ledger, at.client, self.ingestion.plan.ingestion, paths)
        states = Counter(one.event for one in known.values())
        words = ", ".join(f"{count} {event}" for event, count in sorted(states.items()))
        return Ended(Status.COMPLETED, words)


@dataclass
class Loading:
    """A group on its way, in an attempt of it."""

    groups: Groups
    at: AtWork
    group: FileGroup
    files: tuple[PlannedFile, ...] = ()
    wrong: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.groups.ingestion.plan

    def done(self) -> int:
        """The rows that it has brought; done twice, it changes nothing."""
        client, work = self.at.client, self.at.log.work
        known = read_ledger(client, self.plan.ingestion, [one.path for one in self.group.files])
        self.files, self.wrong = tuple(one for one in self.group.files if self._is_wanted(one, known)), {}
        self.notes = {}
        if not self.files:
            return 0
        self.at.lease.confirm()
        self._record(FileEvent.PROCESSING, self.files)
        token = new_token(self.at.log.run_id)
        name = landing_name(work.work_id, self.groups.sequence, token)
        landing = create_landing(client, name, self.plan.shape, batch_size=_BLOCK_ROWS, rows=0)
        try:
            return self._loaded(landing, token)
        finally:
            drop_table(client, landing.name)

    def _is_wanted(self, one: PlannedFile, known: Mapping[str, Any]) -> bool:
        if one.path not in self.groups.ours:
            return False
        before = known.get(one.path)
        return before is None or before.event is not FileEvent.SUCCESS or not one.version.is_as(before.version)

    def _loaded(self, landing: Landing, token: str) -> int:
        client, target = self.at.client, self.plan.target
        everything = dict(enumerate(self.files, 1))
        self._land(landing, everything)
        rows = self._judged(landing, everything)
        bad = {place: one for place, one in everything.items() if one.path in self.wrong}
        if bad:
            if not rows:
                self._require_storage()
            Sql(PACKAGE, client).command("leave_out", {"files": sorted(bad)}, landing=landing.name)
            # An attempt before may have brought them.
            withdraw(client, target, [one.load for one in bad.values()])
        if self.notes:
            Sql(PACKAGE, client).command("leave_out_rows", {"first_fault": FIRST_FAULT}, landing=landing.name)
        rows_by_day = landing.rows_by_day(client)
        attaching = Attaching(
            client, landing, self.at.log.work.work_id, tuple(one.load for one in self.files), Expression("_range"),
            token, lambda: self.at.again(self.at.lease.confirm),
        )  # fmt: skip
        for group in groups(rows_by_day, STAGED_AT_ONCE):
            attaching.attach(group)
            days = [Entry(LoadEvent.ATTACHED, step=str(day), rows=rows) for day, rows in group.rows_by_day.items()]
            self.at.log.append(*days)
            self.groups.ingestion.attached(group.rows_by_day)
        good = [one for place, one in everything.items() if place not in bad]
        self._ended(good, rows)
        return sum(rows.values())

    def _ended(self, good: Sequence[PlannedFile], rows: Mapping[str, int]) -> None:
        """Take out the rows of versions that are no more, and record what became of each file, all at once.

        Until then each counts as one that broke off, and whatever may be left to do is done again.
        """
        client, work_id = self.at.client, self.at.log.work.work_id
        self.at.lease.confirm()
        loaded = [one for one in good if one.path in rows]
        replaced = [(one, load) for one in loaded for load in one.replaces]
        if replaced:
            withdraw(client, self.plan.target, [load for _, load in replaced])
        happened = [Happened(one.version, FileEvent.REPLACED, load) for one, load in replaced]
        happened += [
            self._happened(one, FileEvent.SUCCESS, rows[one.path], self.notes.get(one.path, "")) for one in loaded
        ]
        for one in self.files:
            if words := self.wrong.get(one.path):
                event = FileEvent.SKIPPED if one.size == 0 else FileEvent.FAILED
                happened.append(self._happened(one, event, error=words))
        record(client, self.plan.ingestion, work_id, happened)

    def _land(self, landing: Landing, files: Mapping[int, PlannedFile]) -> None:
        """Have files land; one that cannot be read is named, and the others land without it."""
        try:
            self._read(landing, files)
        except (UserError, ClickHouseError) as error:
            if remedy(error) is Remedy.RETRY:
                raise
            Sql(PACKAGE, self.at.client).command("leave_out", {"files": sorted(files)}, landing=landing.name)
            said = self.groups.ingestion.location.hidden_in(str(error))
            if len(files) == 1:
                [one] = files.values()
                self.wrong[one.path] = said[:2000]
                return
            named = {place for place, one in files.items() if one.path in said}
            halves = named if len(named) == 1 else set(sorted(files)[: len(files) // 2])
            for half in (halves, files.keys() - halves):
                self._land(landing, {place: files[place] for place in sorted(half)})

    def _read(self, landing: Landing, files: Mapping[int, PlannedFile]) -> None:
        plan, location, reading = self.plan, self.groups.ingestion.location, self.plan.reading
        below, columns, form = _common_prefix([one.path for one in files.values()]), plan.file_columns, plan.as_format
        structure = columns.structure(self._types(next(iter(files.values()))) if form.is_typed else {})
        bound = {
            **location.parameters(f"{plain_prefix(below)}**/*", form.engine, structure),
            **form.parameters,
            "form": TIME_FORM,
            "paths": [f"{location.root}{one.path}" for one in files.values()],
            "numbers": list(files),
            "skip": location.skip,
            "seconds": self.groups.ingestion.seconds,
        }
        sql = Sql(PACKAGE, self.at.client, form.settings)
        sql.command(
            "land",
            bound,
            landing=landing.name,
            names=tuple(column.name for column in plan.shape.landed),
            values=reading.values,
            day=reading.day,
            wrong=reading.wrong,
            rows=rows_of(sql, columns, location),
        )

    def _types(self, one: PlannedFile) -> dict[str, str]:
        """The columns of a file whose format says of what types they are."""
        location = self.groups.ingestion.location
        bound = location.parameters(only(one.path), self.plan.as_format.engine, "auto")
        seconds = {"seconds": self.groups.ingestion.seconds}
        rows = Sql(PACKAGE, self.at.client).rows("types", bound | seconds, source=location.function)
        return {name: type_ for name, type_, *_ in rows}

    def _judged(self, landing: Landing, files: Mapping[int, PlannedFile]) -> dict[str, int]:
        """The rows of each file that may be seen; what is wrong with the others is noted."""
        plan = self.plan
        form, faults = plan.as_format, plan.as_format.checks()
        of_rows = (Check(one.words, f"_batch < {FIRST_FAULT} AND ({one.condition})") for one in plan.shape.checks())
        checks = (*plan.reading.checks, *of_rows)
        pairs = Expression(
            ", ".join(
                f"(countIf({one.condition}), groupArrayIf(5)(_key, ifNull({one.condition}, 0)))"
                for one in (*faults, *checks)
            )
        )
        found = {
            place: rest
            for place, *rest in Sql(PACKAGE, self.at.client).rows(
                "landed", {"first_fault": FIRST_FAULT}, landing=landing.name, pairs=pairs
            )
        }
        rows: dict[str, int] = {}
        for place, one in files.items():
            if one.path in self.wrong:
                continue
            if place not in found:
                self.wrong[one.path] = "it is empty: 0 bytes" if one.size == 0 else GONE
                continue
            count, versions, version, counts = found[place]
            verdict = form.judged(count, counts[: len(faults)])
            if versions != 1 or not _is_version(version, one):
                self.wrong[one.path] = CHANGED
            elif problems := (*verdict.problems, *map(str, findings(checks, counts[len(faults) :]))):
                self.wrong[one.path] = "; ".join(problems)
            else:
                rows[one.path] = count
                if verdict.note:
                    self.notes[one.path] = verdict.note
        return rows

    def _require_storage(self) -> None:
        """Raises: UserError: the files cannot even be listed, so that it is nothing about them that is wrong."""
        location = self.groups.ingestion.location
        below = _common_prefix([one.path for one in self.files])
        list_files(self.at.client, location, compiled("**"), self.groups.ingestion.seconds, below)

    def _happened(self, one: PlannedFile, event: FileEvent, rows: int = 0, error: str = "") -> Happened:
        return Happened(one.version, event, one.load, rows, error)

    def _record(self, event: FileEvent, files: Sequence[PlannedFile]) -> None:
        happened = [self._happened(one, event) for one in files]
        record(self.at.client, self.plan.ingestion, self.at.log.work.work_id, happened)


def rows_of(sql: Sql, columns: Columns, location: Location) -> Part:
    """The statement that answers the rows of files, to stand in the one that has them land."""
    found = {"row": columns.row, "fault": columns.fault, "source": location.function, "path": location.path}
    for name in format_of(columns.format).rows:
        found["within"] = sql.union(name, [found])
    return Part(found["within"])


def _is_version(version: str, planned: PlannedFile) -> bool:
    """Whether what was read is the planned version: ETag, size and second of a file as ``land.sql`` has them."""
    etag, size, modified = version.split(" ")
    if planned.etag and etag.strip('"'):
        return etag.strip('"') == planned.etag
    return (int(size), int(modified)) == (planned.size, planned.modified // 10**6)


def _common_prefix(paths: Sequence[str]) -> str:
    """The directories that all paths have in common."""
    first, last = min(paths), max(paths)
    length = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[: first.rfind("/", 0, length) + 1]
