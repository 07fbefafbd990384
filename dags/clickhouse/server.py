"""A client of a ClickHouse server, which takes nothing for an answer that the server did not give."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from clickhouse_connect.driver._backend.httpcommon import parse_command_body
from clickhouse_connect.driver.binding import bind_query
from clickhouse_connect.driver.exceptions import OperationalError
from clickhouse_connect.driver.httpclient import HttpClient
from clickhouse_connect.driver.summary import QuerySummary
from urllib3 import Timeout
from urllib3.exceptions import ReadTimeoutError

from dags.clickhouse.pinned import FIRST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from clickhouse_connect.driver.external import ExternalData
    from clickhouse_connect.driver.query import TzSource
    from urllib3 import HTTPResponse

    from dags.clickhouse.replicas.place import Place

# A server takes 131,072 bytes for a field of a form (http_max_field_value_size), and as many for a value in an address.
LONGEST_FIELD_CHARACTERS = 32_000

# What is asked at first is answered from memory: who is silent for so long hangs.
FIRST_ANSWER_SECONDS = 60

# Where there are others to ask, one that has not answered by then is passed by.
AMONG_REPLICAS_SECONDS = 5

# ClickHouse says this of whatever it answers, and nobody else does.
ANSWERED_BY_CLICKHOUSE = "X-ClickHouse-Query-Id"

# A server that does not accept a connection for this long is down for our purposes.
CONNECT_SECONDS = 10


def _of_clickhouse(request: Callable[..., HTTPResponse], *, is_patient: bool) -> Callable[..., HTTPResponse]:
    """``request``, of which an answer that is not ClickHouse's is an error, and one that may pass.

    Not ``is_patient``: who did not answer once is asked no more, or each question of many would wait anew.
    """
    was_silent = threading.Event()

    def asked(*given: Any, **more: Any) -> HTTPResponse:  # noqa: ANN401 -- the driver's own
        if was_silent.is_set():
            raise OperationalError("ClickHouse did not answer in time what was asked before, so nothing more is asked")
        try:
            response = request(*given, **more)
        except OperationalError as error:
            if not is_patient and isinstance(error.__cause__, ReadTimeoutError):
                was_silent.set()
            raise
        if ANSWERED_BY_CLICKHOUSE in response.headers:
            return response
        kind = response.headers.get("Content-Type", "no type")
        response.close()
        raise OperationalError(
            f"what answered is not ClickHouse: status {response.status}, {kind}, without {ANSWERED_BY_CLICKHOUSE}. "
            "Look at what stands between (a balancer, a proxy, a login), and let it pass on ClickHouse's headers"
        )

    return asked


class ServerClient(HttpClient):
    """The driver's client, of which the questions at connection are not cut short by the user's profile either, and
    are answered soon or not at all.

    ``who`` marks these too (``log_comment``), so that no statement of a run is nobody's. ``answer_seconds`` is how long
    the server may be silent; not ``is_patient``: and then is asked no more. ``options`` say where it is. What
    ClickHouse did not answer is an error, whatever its status: a balancer's page would be taken for rows, or for a
    statement that was run. ``first_answer_seconds``: how long it may be silent at first.
    """

    def __init__(
        self,
        *,
        who: str,
        answer_seconds: float,
        is_patient: bool,
        first_answer_seconds: float | None = None,
        **options: Any,  # noqa: ANN401 -- the driver's own
    ) -> None:
        self._who, self._answer_seconds, self._is_patient = who, int(answer_seconds), is_patient
        first = FIRST_ANSWER_SECONDS if first_answer_seconds is None else first_answer_seconds
        self._first_answer_seconds = min(first, answer_seconds)
        # Where it is among its replicas; None for a server that stands alone.
        self.place: Place | None = None
        super().__init__(
            database=None,
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=self._answer_seconds,
            # Sessions refuse a second query at a time; nothing here needs their state.
            autogenerate_session_id=False,
            # Thousands of team ids are bound as one value; addresses end up in proxies' logs.
            form_encode_query_params=True,
            tz_mode="aware",
            **options,
        )

    def _init_common_settings(self, tz_source: TzSource) -> None:
        self.params.update(FIRST)
        if self._who:
            self.params["log_comment"] = self._who
        backend = self._backend
        backend.request = _of_clickhouse(backend.request, is_patient=self._is_patient)  # type: ignore[method-assign]
        with self.hurried(self._first_answer_seconds):
            super()._init_common_settings(tz_source)

    @contextmanager
    def hurried(self, seconds: float) -> Iterator[None]:
        """While the server may be silent for no longer than so many seconds."""
        backend, patient = self._backend, self._backend.timeout
        backend.timeout = Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds)
        try:
            yield
        finally:
            backend.timeout = patient

    def command(  # noqa: PLR0917 -- the driver's signature
        self,
        cmd: str,
        parameters: Sequence[Any] | dict[str, Any] | None = None,
        data: str | bytes | None = None,
        settings: dict[str, Any] | None = None,
        use_database: bool = True,  # noqa: FBT001, FBT002
        external_data: ExternalData | None = None,
        transport_settings: dict[str, str] | None = None,
    ) -> str | int | Sequence[str] | QuerySummary:
        """As the driver's, but what is bound travels in the body, as ``form_encode_query_params`` has it for queries.

        The driver (1.12) leaves commands out of that. An address is in the server's own log, in those of proxies and
        in errors of the connection, and what is bound may be a password.
        """
        is_plain = not (data or external_data or transport_settings)
        if not parameters or not is_plain or len(cmd) > LONGEST_FIELD_CHARACTERS:
            return super().command(cmd, parameters, data, settings, use_database, external_data, transport_settings)
        text, bound = bind_query(cmd, parameters, self.server_tz)
        fields: dict[str, Any] = {"query": text, **bound}
        named = {"database": self.database} if use_database and self.database else {}
        options = {**self._validate_settings(settings or {}), **named}
        answer = self._backend.request(b"", options, fields=fields, server_wait=False)
        if answer.data:
            return parse_command_body(answer.data)
        return QuerySummary(json.loads(answer.headers.get("X-ClickHouse-Summary", "{}")))
