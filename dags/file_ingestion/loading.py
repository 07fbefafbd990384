"""A group of files on its way: they land, are checked each by itself, are attached by the day, and are recorded.

A group that broke off is done again from its beginning: what had landed is dropped, what was attached is found in the
target by the files' own numbers. Nothing of a file that cannot be loaded whole is there in the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clickhouse_connect.driver.exceptions import ClickHouseError

from dags.clickhouse.failures import Remedy, remedy
from dags.clickhouse.leases.rules import new_token
from dags.domain.errors import UserError
from dags.file_ingestion.landing import FileLanding, Found
from dags.file_ingestion.listing import what_is_there
from dags.file_ingestion.noticing import REFUSES_UNKNOWN, SAYS_BEFORE, columns_of, is_of_unknown_column
from dags.file_ingestion.on_the_way import OnTheWay, why_absent
from dags.file_ingestion.packing import is_to_be_checked
from dags.file_ingestion.patterns import common_directory, compiled
from dags.file_ingestion.reading import ScatteredError, Statements
from dags.file_ingestion.schema_store import change_schemas, read_schemas, record_schemas
from dags.file_ingestion.schemas import MAX_COLUMNS, Resolution, Schemas, derived, first_seen, noticed
from dags.file_ingestion.store import Happened, read_known, record
from dags.file_ingestion.unpacking import why_not_whole
from dags.file_ingestion.versions import FileEvent, Known
from dags.sources.formats import is_readable
from dags.sources.loads.attaching import ATTACHED_AT_ONCE, Attaching, rows_there, while_there, withdraw
from dags.sources.loads.landing import drop_table, drop_tables
from dags.sources.loads.log import LoadEvent
from dags.sources.loads.names import staging_name
from dags.sources.loads.verdicts import groups
from dags.work.audit.log import Entry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from dags.file_ingestion.execution import Groups
    from dags.file_ingestion.location import Location
    from dags.file_ingestion.plan import FileGroup, Layout, Plan, PlannedFile
    from dags.file_ingestion.schemas import Happened as SchemaHappened
    from dags.work.runner import AtWork


class _NoticedError(Exception):
    """Files have columns that were not known: they are now, and the group begins anew."""


@dataclass
class Loading:
    """A group on its way, in an attempt of it. ``layout``: what of its files is loaded, as is declared, and was merged
    since. ``bytes_read`` counts what was read more than once as often; ``columns`` are those of files that were asked
    for them: what is read is of these versions, or is not taken.
    """

    groups: Groups
    at: AtWork
    group: FileGroup
    schemas: Schemas = field(default_factory=Schemas)
    layout: Layout = field(init=False)
    files: tuple[OnTheWay, ...] = ()
    wrong: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    bytes_read: int = 0
    takes_any_column: bool = False
    columns: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.groups.ingestion.plan

    @property
    def location(self) -> Location:
        return self.groups.ingestion.location

    @property
    def schema(self) -> int:
        """The version of the schema under which it loads."""
        return self.schemas.current

    def done(self) -> int:
        """The rows that it has brought; done twice, it changes nothing."""
        while True:
            try:
                return self._done()
            except _NoticedError:
                continue  # every time there are columns that were not known before
            except ScatteredError:
                self.groups.scattered.add(self.group.id)

    def _done(self) -> int:
        client, ingestion = self.at.client, self.plan.ingestion
        self._confirm()
        # What an attempt before has begun and lost the answer of, it finishes now or never.
        drop_tables(client, self.at.log.work.work_id)
        self.schemas, self.wrong, self.notes = read_schemas(client, ingestion), {}, {}
        loads = self.schemas.loads(self.schema)
        self.layout = self.plan.layout if loads is None else self.plan.layout.of(loads, self.groups.target_types)
        known = read_known(client, ingestion, [one.path for one in self.group.files])
        # Under another declaration they are for the next run.
        planned = () if self.schemas.is_changed(self.plan.schema_version) else self.group.files
        wanted = [one for one in planned if self._is_wanted(one, known.get(one.path))]
        self.files = tuple(self._on_the_way(one, known.get(one.path)) for one in wanted)
        if not self.files:
            return 0
        self._record([self._happened(one, FileEvent.PROCESSING) for one in self.files])
        self._notice_before()
        token = new_token(self.at.log.run_id)
        name = staging_name(self.at.log.work.work_id, self.group.id, token)
        landing = FileLanding.made(client, name, self.plan.target)
        try:
            return self._loaded(landing)
        finally:
            # An attachment that is being done ends first: a table is gone only when nobody uses it.
            drop_table(client, landing.name)

    def _is_wanted(self, one: PlannedFile, known: Known | None) -> bool:
        if one.path not in self.groups.ours:
            return False
        if known is None or known.event is not FileEvent.SUCCESS or not one.version.is_as(known.version):
            return True
        return bool(known.broken) or known.schema < min(self.schemas.reload_below, self.schema)

    def _on_the_way(self, one: PlannedFile, known: Known | None) -> OnTheWay:
        load = one.version.load(self.plan.ingestion, self.schema)
        replaces = tuple(other for other in (known.loads if known is not None else ()) if other != load)
        return OnTheWay(one, load, known, replaces)

    def _loaded(self, landing: FileLanding) -> int:
        client, target = self.at.client, self.plan.target
        self._land_all(landing)
        landed = landing.landed()
        rows = self._judged(landed.by_load, landing.faults())
        bad = [one for one in self.files if one.path in self.wrong]
        if bad:
            if not rows:
                self._require_storage()
            landing.leave_out([one.load for one in bad])
            # An attempt before may have brought some of them; of a load that was whole, what is there stays.
            loads = [one.load for one in bad if not one.was_whole]
            withdraw(client, target, loads, while_there(landing.name))
            landed = landing.landed()
        self.groups.strangers.update(landed.strangers)
        # What has not landed is not counted among what is there: of a bad file that may be rows that stay.
        good = [one for one in self.files if one.path not in self.wrong]
        attaching = Attaching(client, target, tuple(one.load for one in good), landing.name, self._confirm)
        for group in groups(landed.by_day, ATTACHED_AT_ONCE):
            lacking = attaching.lacking(group.rows_by_day)
            attaching.attach(landing.name, lacking)
            attaching.require(lacking)
            days = [Entry(LoadEvent.ATTACHED, step=str(day), rows=rows) for day, rows in group.rows_by_day.items()]
            self.at.log.append(*days)
            self.groups.ingestion.attached(group.rows_by_day)
        self._ended(landing, good, rows)
        return sum(rows.values())

    def _confirm(self) -> None:
        self.at.again(self.groups.ingestion.claims.confirm)

    def _ended(self, landing: FileLanding, good: Sequence[OnTheWay], rows: Mapping[str, int]) -> None:
        """Take out the rows of versions that are no more, and record what became of each file, all at once.

        Until then each counts as one that broke off, and whatever may be left to do is done again. A file that cannot
        be loaded takes the place of no version that was, but of those that broke off.
        """
        client, work_id = self.at.client, self.at.log.work.work_id
        self._confirm()
        loaded, bad = [one for one in good if one.path in rows], [one for one in self.files if one not in good]
        there = [*loaded, *(one for one in bad if one.was_whole)]
        replaced = [(one, load) for one in there for load in one.replaces]
        replaced += [(one, load) for one in bad if one not in there for load in one.broken]
        if replaced:
            # From here on these are whole, whatever becomes of their files before it is recorded that they were loaded.
            self._record([self._happened(one, FileEvent.ATTACHED) for one in loaded if one.replaces])
            withdraw(client, self.plan.target, [load for _, load in replaced], while_there(landing.name))
        happened = [Happened(one.planned.version, FileEvent.REPLACED, load, self.schema) for one, load in replaced]
        happened += [
            self._happened(one, FileEvent.SUCCESS, rows[one.path], self.notes.get(one.path, "")) for one in loaded
        ]
        happened += [self._not_loaded(one) for one in bad]
        self._record(happened)
        if loaded and self._refuses_unknown and not self.schemas.columns:
            # Nothing was refused: these are the columns of the first files.
            first = first_seen(self.schema, self.layout.file_columns.names)
            record_schemas(client, self.plan.ingestion, work_id, [first])

    def _not_loaded(self, one: OnTheWay) -> Happened:
        words = self.wrong[one.path]
        if one.was_whole:
            rows = sum(rows_there(self.at.client, self.plan.target, [one.load]).values())
            return self._happened(
                one, FileEvent.SUCCESS, rows, f"its rows are there, and it could not be read again: {words}"
            )
        return self._happened(one, FileEvent.SKIPPED if one.planned.size == 0 else FileEvent.FAILED, error=words)

    def _land_all(self, landing: FileLanding) -> None:
        """Have every file land: from the target, where that has all of what is loaded now, and else from the file."""
        by_schema: dict[int, list[tuple[OnTheWay, Known]]] = {}
        for one in self.files:
            if (known := one.loaded_before) is not None:
                by_schema.setdefault(known.schema, []).append((one, known))
        landed = {load for schema, loaded in by_schema.items() for load in self._landed_again(landing, loaded, schema)}
        by_file = [one for one in self.files if one.load not in landed]
        self._look_at_packed(by_file)
        whole = [one for one in by_file if one.path not in self.wrong]
        # What did not even say which columns it has would have its neighbours land twice.
        mute = [one for one in whole if self.columns.get(one.path) == {}]
        for files in ([one for one in whole if one not in mute], mute):
            if files:
                self._land(landing, files)

    def _look_at_packed(self, files: Iterable[OnTheWay]) -> None:
        """Name files that break off where reading them would not say so."""
        for one in files:
            if one.planned.size and is_to_be_checked(one.path):
                self.bytes_read += 2 * one.planned.size
                said = why_not_whole(self.at.client, self.location, one.path, self.groups.ingestion.seconds)
                self.wrong |= {one.path: said} if said else {}

    def _landed_again(
        self, landing: FileLanding, files: Sequence[tuple[OnTheWay, Known]], schema: int
    ) -> Collection[int]:
        """The loads of files that have landed whole from the target, as they are there under an older version of the
        schema.
        """
        layout = self.layout
        landed = [(column.name, source) for column, source in zip(layout.shape.landed, layout.sources, strict=True)]
        there = derived(self.schemas, schema, self.schema, self.groups.target_types, landed)
        if there is None:
            return ()
        self._statements(landing).of_loads(there, {known.load: one.load for one, known in files})
        found = landing.landed().by_load
        whole = {one.load for one, known in files if found.get(one.load, 0) == known.rows}
        landing.leave_out([one.load for one, _ in files if one.load not in whole])
        self.notes |= {one.path: known.said for one, known in files if one.load in whole and known.said}
        return whole

    def _land(self, landing: FileLanding, files: Sequence[OnTheWay]) -> None:
        """Have files land; one that cannot be read is named, and the others land without it."""
        try:
            self._read(landing, files)
        except (UserError, ClickHouseError) as error:
            if remedy(error) is Remedy.RETRY:
                raise
            if is_of_unknown_column(error) and not self.takes_any_column:
                self._notice([one.path for one in files])
                self.takes_any_column = True  # nothing is new about them, and they are refused all the same
                landing.leave_out([one.load for one in files])
                self._land(landing, files)
                return
            landing.leave_out([one.load for one in files])
            said = self.location.hidden_in(str(error))
            if len(files) == 1:
                [one] = files
                self.wrong[one.path] = said[:2000]
                return
            named = [one for one in files if one.path in said]
            half = named if len(named) == 1 else files[: len(files) // 2]
            loads = {one.load for one in half}
            self._land(landing, half)
            self._land(landing, [one for one in files if one.load not in loads])

    def _read(self, landing: FileLanding, files: Sequence[OnTheWay]) -> None:
        self.bytes_read += sum(one.planned.size for one in files)
        expected = self.schemas.columns if self._refuses_unknown else None
        said = [self.columns.get(one.path, {}) for one in files]
        self._statements(landing).of_files(self.location, files, expected, self.plan.objects, said)

    def _statements(self, landing: FileLanding) -> Statements:
        # What is scattered in one group is so in those that follow.
        return Statements(landing, self.layout, self.groups.ingestion.seconds, is_sorted=bool(self.groups.scattered))

    @property
    def _refuses_unknown(self) -> bool:
        """Whether files are read as if they had the columns that are known, and no other."""
        is_told = self.plan.format in REFUSES_UNKNOWN and len(self.schemas.columns) < MAX_COLUMNS
        return is_told and not self.takes_any_column and all(map(is_readable, self.schemas.columns))

    def _notice_before(self) -> None:
        """Notice what is new in these files before they are read, where reading them does not tell."""
        says = self.plan.format in SAYS_BEFORE or not all(map(is_readable, self.schemas.columns))
        if says and len(self.schemas.columns) < MAX_COLUMNS:
            self._notice([one.path for one in self.files])

    def _notice(self, paths: Sequence[str]) -> None:
        """Keep which columns files have that were not known.

        Raises:
            _NoticedError: there were some.
        """
        ingestion = self.groups.ingestion
        if unseen := [path for path in paths if path not in self.columns]:
            found = columns_of(
                self.at.client, self.location, self.plan.format, unseen,
                seconds=ingestion.seconds, objects=self.plan.objects,
            )  # fmt: skip
            self.columns |= {path: found.get(path, {}) for path in unseen}
        columns = {path: self.columns[path] for path in paths if self.columns[path]}
        resolution, types = Resolution(ingestion.schema_changes), self.groups.target_types

        def make(schemas: Schemas) -> list[SchemaHappened]:
            found = noticed(schemas, columns, self.plan.ingestion, resolution, types)
            return [found] if found is not None else []

        if not make(self.schemas):
            return
        self.at.lease.confirm()
        _, happened = change_schemas(
            self.at.client, self.plan.ingestion, self.at.log.run_id, make, self.groups.ingestion.tell
        )
        for one in happened:
            self.groups.ingestion.tell(f"{one}")
        raise _NoticedError

    def _judged(self, landed: Mapping[int, int], found: Mapping[int, Found]) -> dict[str, int]:
        """The rows of each file that may be seen; what is wrong with the others is noted. ``landed``: how many events
        are there of each load; ``found``: its rows that are none.
        """
        rows: dict[str, int] = {}
        for one in self.files:
            if one.path in self.wrong:
                continue
            if one.load not in landed and one.load not in found:
                self.wrong[one.path] = why_absent(one.planned)
                continue
            count = landed.get(one.load, 0)
            verdict = self.layout.faults.judged(count, found.get(one.load, {}))
            if verdict.problems:
                self.wrong[one.path] = "; ".join(verdict.problems)
            else:
                rows[one.path] = count
                if verdict.note:
                    self.notes[one.path] = verdict.note
        return rows

    def _require_storage(self) -> None:
        """Raises: UserError: the files cannot even be listed, so that it is nothing about them that is wrong."""
        below = common_directory([one.path for one in self.files])
        seconds = self.groups.ingestion.seconds
        what_is_there(self.at.client, self.location, compiled("**"), seconds=seconds, below=below)

    def _happened(self, one: OnTheWay, event: FileEvent, rows: int = 0, error: str = "") -> Happened:
        return Happened(one.planned.version, event, one.load, self.schema, rows, error)

    def _record(self, happened: Sequence[Happened]) -> None:
        record(self.at.client, self.plan.ingestion, self.at.log.work.work_id, happened, self._confirm)
