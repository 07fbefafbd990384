"""The checks of a run that failed, as a terminal shows them at its end: a failed check fails no run, and says nothing.

Pure: no clock, no database, no instance of Dagster.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dags.domain.text import counted, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dagster import AssetCheckEvaluation

# By which a result says what a person types next, or else what to do; what comes after it is `next_2` and so on.
NEXT = "next"

# So many characters of what is the matter; the check has it all.
CHARACTERS = 250


@dataclass(frozen=True)
class Red:
    """A check that failed: of which asset, what is the matter, and what a person does next; a warning is none."""

    name: str
    asset: str
    what: str
    next_step: str
    is_warning: bool = False


def next_steps(steps: Iterable[str]) -> dict[str, str]:
    """The metadata by which a result says its steps, each by itself: of a text Dagster's UI runs lines into one."""
    return {NEXT + f"_{number}" * (number > 1): step for number, step in enumerate(filter(None, steps), 1)}


def red_of(found: AssetCheckEvaluation) -> Red | None:
    """A result, if the check failed."""
    if found.passed:
        return None
    said = {name: str(entry.value) for name, entry in found.metadata.items()}
    what = said.get("status") or (found.description or "it failed").partition("\n")[0]
    is_warning = found.severity.name == "WARN"
    steps = "\n".join(value for name, value in said.items() if name == NEXT or name.startswith(f"{NEXT}_"))
    return Red(found.check_name, found.asset_key.to_user_string(), what, steps, is_warning)


def red_text(reds: Sequence[Red], checks: int) -> str:
    """All of them, in a line each; those that fail for one reason are told together, with one next step."""
    by_reason: dict[tuple[bool, str, str], list[Red]] = defaultdict(list)
    for one in reds:
        by_reason[one.is_warning, " ".join(one.what.split()), one.next_step].append(one)
    errors = sum(not one.is_warning for one in reds)
    warnings = f", {counted(len(reds) - errors, 'warning')}" if errors < len(reds) else ""
    lines = [f"{errors} of {counted(checks, 'check')} failed{warnings}"]
    for (is_warning, what, next_step), some in sorted(by_reason.items()):
        names, assets = (", ".join(dict.fromkeys(getattr(one, name) for one in some)) for name in ("name", "asset"))
        short = what if len(what) <= CHARACTERS else f"{what[:CHARACTERS]} …"
        lines.append(wrapped(f"{'WARNING' if is_warning else 'FAILED':<9}{names} of {assets}: {short}"))
        lines += [f"         {line}" for line in next_step.split("\n") if line]
    return "\n".join(lines)
