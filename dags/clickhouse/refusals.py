"""Says in words why there is no client of ClickHouse, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dags.clickhouse.rights import lacking
from dags.domain.errors import EngineError, Outage, SilentError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.exceptions import ClickHouseError

    from dags.clickhouse.dsn import Dsn

# ClickHouse's own error codes, from ErrorCodes.cpp.
AUTHENTICATION_FAILED = 516
REQUIRED_PASSWORD = 194
ACCESS_DENIED = 497


def error_code(error: BaseException) -> int | None:
    """ClickHouse's error code, when the error is ClickHouse's."""
    code = getattr(error, "code", None)
    return code if isinstance(code, int) else None


def refusal(dsn: Dsn, error: ClickHouseError) -> EngineError:
    """Why there is no client, in words. That nothing answers is said only when nothing did."""
    # Where nothing was answered the driver's cause says why, and the driver puts the whole address before that.
    reason = dsn.hidden_in(str(getattr(error.__cause__, "reason", None) or error))
    name = getattr(error, "name", None) or error_code(error)
    if (lacks := lacking(error, f"the user {dsn.user!r} of ClickHouse at {dsn}")) is not None:
        return lacks
    if error_code(error) in (AUTHENTICATION_FAILED, REQUIRED_PASSWORD, ACCESS_DENIED):
        return EngineError(f"ClickHouse at {dsn} refused the user {dsn.user!r} or its password: correct CLICKHOUSE_DSN")
    if name in ("READONLY", "SETTING_CONSTRAINT_VIOLATION"):
        return _forbidden(dsn, name, reason)
    if dsn.is_embedded:
        return EngineError(f"the embedded engine cannot open {dsn}: {reason[:500]}")
    if name is not None:
        return UnreadableError(
            f"ClickHouse at {dsn} answered with an error, {name}, so nothing is known from there. Where it speaks of a "
            f"limit, raise it in the user's profile. It says: {reason[:500]}"
        )
    return _unanswered(dsn, reason)


def _forbidden(dsn: Dsn, name: str, reason: str) -> EngineError:
    """Of a profile that forbids: a setting, without which nothing is known; or, `readonly`, what is no question."""
    who = dsn.user or "the user"
    if name == "READONLY" and "setting" not in reason.lower():
        return EngineError(
            f"ClickHouse at {dsn} lets {who} only ask (`readonly` in the profile), and this changes something: let "
            f"CLICKHOUSE_DSN name a user who may (README, Server, has one for each kind of work). It says: "
            f"{reason[:500]}"
        )
    return UnreadableError(
        f"ClickHouse at {dsn} does not let {who} set what every statement must carry to be answered in full, so "
        "nothing is known from there. Let the user's profile allow it (readonly 0, no constraint on that setting). It "
        f"says: {reason[:500]}"
    )


def _unanswered(dsn: Dsn, reason: str) -> EngineError:
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return EngineError(
            f"what answers at {dsn} could not be verified, so nothing was said to it: {reason[:300]}. Let "
            "SSL_CERT_FILE name the authority that signed its certificate, and CLICKHOUSE_DSN the host that it is made "
            "out to"
        )
    return SilentError(_no_answer(str(dsn), reason[:300]), reason[:300])


def _no_answer(where: str, said: str) -> str:
    return (
        f"no ClickHouse answers at {where}: check the host and port in CLICKHOUSE_DSN (the HTTP port, 8123 by "
        f"default) and that the server runs. The driver says: {said}"
    )


def no_replica(dsn: Dsn, refused: Mapping[Dsn, EngineError]) -> EngineError:
    """Why no replica of those that a DSN names can be used: by address, of those that are silent together.

    It is an `UnreadableError` if one of them is, for then something answers. Where those that do have all lost Keeper,
    that is out of reach.
    """
    silent = {one: error for one, error in refused.items() if isinstance(error, SilentError)}
    words = [str(error) for one, error in refused.items() if one not in silent]
    if silent:
        said = "; ".join(dict.fromkeys(error.said for error in silent.values()))
        words.append(_no_answer(", ".join(f"{one.host}:{one.port}" for one in silent), said))
    kind = UnreadableError if any(isinstance(one, UnreadableError) for one in refused.values()) else EngineError
    outages = {error.outage for error in refused.values()}
    outage = None if None in outages else Outage.KEEPER if Outage.KEEPER in outages else Outage.SERVER
    return kind(f"no replica of {dsn} can be used:\n" + "\n".join(words), outage)
