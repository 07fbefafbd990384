"""What is refused of any request for work: every violation at once, before anything is touched.

Pure: no clock, no database, no Dagster. The fields of a configuration are read by `dags.domain.given`; here is what
holds of every kind of work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dags.domain.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# Who asks, and why: a request without them is refused.
WHO = ("reason", "requested_by")


def refusal(what: str, problems: Iterable[str]) -> UserError:
    """The error that says of a request everything that is wrong with it, each on a line of its own."""
    return UserError(f"{what} was refused, nothing was touched:\n" + "\n".join(problems))


def webhook_problems(webhook: str, hosts: Collection[str]) -> list[str]:
    """Only hosts that the settings allow are told anything, and no secret is part of the address."""
    if not webhook:
        return []
    if not (webhook.isascii() and webhook.isprintable()) or " " in webhook:
        return ["webhook holds characters that no address has: give https://host/path"]
    try:
        parts = urlsplit(webhook)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ["webhook is no address: give https://host/path"]
    problems = []
    if parts.scheme not in ("http", "https") or not host:
        problems.append("webhook is no http or https address: give https://host/path")
    elif f"{host}:{port}" not in hosts and host not in hosts:
        problems.append(
            f"webhook names the host {host!r}, which WEB_ANALYTICS_BACKFILL_WEBHOOK_HOSTS does not allow "
            f"(it has {', '.join(sorted(hosts)) or 'none'})"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        problems.append(
            "webhook carries a user, a query or a fragment, which would be kept in the plan: leave them out; a token "
            "comes from WEB_ANALYTICS_BACKFILL_WEBHOOK_TOKEN"
        )
    return problems
