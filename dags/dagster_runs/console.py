"""What a run says on a terminal besides its answer: why it failed, in our own words where these say it.

Dagster prints two tracebacks around an error that a person can put right, and what to do about it stands in the middle.
The event log of the run has them all the same. A command names `answers_console` as its logger. A job of assets, and
assets that are launched by name, can name none that holds without a configuration: theirs is Dagster's own, a logger of
the process's class for loggers, see `say_failures_in_words`.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TextIO, cast

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInvalidConfigError,
    DagsterUnknownPartitionError,
    Field,
    InitLoggerContext,
    logger,
)

from dags.clickhouse.words import DRIVER, driver_error_in_words
from dags.dagster_runs.output import Copiers
from dags.dagster_runs.red_checks import Red, red_of, red_text
from dags.domain.errors import UserError
from dags.settings import current_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType


def say_in_any_encoding() -> None:
    """Have the terminal's output show a mark for what its encoding lacks: no answer may fail for a ``×`` in it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def shown(text: str) -> str:
    """Anybody's words, as an error's, without what a terminal would obey: each sign of it is a blank."""
    return "".join(one if one.isprintable() or one in "\n\t" else " " for one in text)


@contextmanager
def nothing_is_obeyed() -> Iterator[None]:
    """Have what is printed meanwhile reach standard output, where there is one, as `shown`."""
    with redirect_stdout(cast("TextIO", _Shown(sys.stdout))) if sys.stdout is not None else nullcontext():
        yield


class _Shown:
    """A stream of text that is written to another one as `shown`, and is that one otherwise."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(shown(text))
        return len(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _names(error: type[UserError] = UserError) -> Iterator[str]:
    yield error.__name__
    for one in error.__subclasses__():
        yield from _names(one)


def why_failed(event: DagsterEvent) -> str:
    """Why a step failed, where a person can put it right: it was said on purpose, or ClickHouse said it. Else empty."""
    if event.event_type is not DagsterEventType.STEP_FAILURE:
        return ""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return shown(str(data.user_failure_data.description))
    cause = data.error.cause if data.error is not None else None
    if cause is None:
        return ""
    if cause.message.startswith(DRIVER):
        return shown(current_settings().clickhouse_dsn.hidden_in(driver_error_in_words(cause.message)))
    if cause.cls_name not in set(_names()):
        return ""
    # Dagster keeps what Python prints of an exception: its class, with the module's name, then its words.
    return shown(re.sub(rf"^[\w.]*\b{cause.cls_name}: ", "", cause.message).strip())


class _Terminal(logging.StreamHandler[Any]):
    """Prints errors; of a step that failed in words of ours nothing but these, and they are the last.

    With the run's failure, not the step's, and what else is said of a step is let out: Dagster ends the process that
    copies its output to the terminal whether that has got to it or not.
    """

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_event", None)
        if not (isinstance(event, DagsterEvent) and why_failed(event)):
            super().emit(record)
            Copiers.of_this_process().let_out()

    def format(self, record: logging.LogRecord) -> str:
        event = getattr(record, "dagster_event", None)
        if isinstance(event, DagsterEvent) and event.event_type is DagsterEventType.RUN_FAILURE:
            first = event.job_failure_data.first_step_failure_event
            if first is not None and (words := why_failed(first)):
                return f"\n{words}"
        return super().format(record)


_ENDS = {DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED}


class _InWords(logging.Logger):
    """A console that Dagster makes of its own: of steps that failed in words of ours it prints these at the run's end,
    and no traceback; and which checks failed. Whatever else it is given, it prints as it is.
    """

    # By run, for Dagster makes two of them: one hears of the steps, the other of the run.
    _words: ClassVar[dict[object, list[str]]] = {}
    _checked: ClassVar[dict[str, list[Red | None]]] = {}

    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:  # noqa: ANN401 -- as logging has it
        """As any; and at a run's end, which is told below the level of a terminal, which of its checks failed."""
        super().log(level, msg, *args, **options)
        extra = options.get("extra") or {}
        event, run_id = extra.get("dagster_event"), (extra.get("dagster_meta") or {}).get("run_id", "")
        if not isinstance(event, DagsterEvent):
            return
        if event.event_type is DagsterEventType.ASSET_CHECK_EVALUATION:
            self._checked.setdefault(run_id, []).append(red_of(event.asset_check_evaluation_data))
        elif event.event_type in _ENDS:
            checked = self._checked.pop(run_id, [])
            if reds := [one for one in checked if one is not None]:
                super().log(logging.WARNING, "%s: %s", event.job_name, red_text(reds, len(checked)))

    def handle(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_event", None)
        if isinstance(event, DagsterEvent):
            self._put_in_words(record, event)
        super().handle(record)

    def _put_in_words(self, record: logging.LogRecord, event: DagsterEvent) -> None:
        # What Dagster appends to its own line about an event begins after an empty one.
        line, run = str(record.msg).partition("\n\n")[0], getattr(record, "dagster_meta", {}).get("run_id")
        if words := why_failed(event):
            self._words.setdefault(run, []).append(words)
            record.msg = line
        elif event.event_type is DagsterEventType.RUN_FAILURE and (heard := self._words.pop(run, [])):
            first = event.job_failure_data.first_step_failure_event
            if first is not None and why_failed(first):
                record.msg = "\n\n".join([line, *dict.fromkeys(heard)])


# What Dagster refuses before there is a run, and what to do about it.
_REFUSED_BY_DAGSTER: Mapping[type[Exception], str] = {
    DagsterUnknownPartitionError: "A partition is a day that is over, as 2026-01-31, and no earlier than the table's "
    "first: give such a one",
    DagsterInvalidConfigError: "The launchpad of the UI shows what a job takes. A command takes its fields as they "
    "are, a job of assets under ops: {<name>: {config: {…}}}",
}

# A whole schema may stand in one line of a refusal. Chosen: some lines of a terminal.
_REFUSAL_LINE_CHARACTERS = 300


def _say_refused(
    otherwise: Callable[[type[BaseException], BaseException, TracebackType | None], object],
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    step = next((step for refused, step in _REFUSED_BY_DAGSTER.items() if isinstance(error, refused)), "")
    if not step:
        otherwise(kind, error, trace)
        return
    lines = [line for line in str(error).splitlines() if line.strip()]
    cut = [f"{line[:_REFUSAL_LINE_CHARACTERS]} …" if len(line) > _REFUSAL_LINE_CHARACTERS else line for line in lines]
    print(shown("\n".join(["", *cut, step])), file=sys.stderr)


def say_failures_in_words() -> None:
    """Have what Dagster itself prints in this process end in words without a traceback, where a person can act on them.

    Its consoles are made of `logging.getLoggerClass`, and it takes no other logger for a run without a configuration.
    What it refuses before there is a run ends the process of a command.
    """
    logging.setLoggerClass(_InWords)
    sys.excepthook = partial(_say_refused, sys.excepthook)


@logger(
    {"log_level": Field(str, default_value="ERROR", description="What is printed besides the answer, at least.")},
    description="Errors alone, in our own words where these say what to do.",
)
def answers_console(context: InitLoggerContext) -> logging.Logger:
    level = logging.getLevelName(str(context.logger_config["log_level"]).upper())
    made = logging.Logger("dagster", level)  # noqa: LOG001 -- one for each run: a shared one would gather handlers
    made.addHandler(_Terminal())
    return made
