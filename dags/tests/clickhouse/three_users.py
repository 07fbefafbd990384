"""The three users of the README, as its statements have them: rights, profiles, quotas; and a server's file of them.

The server of the tests takes no users by SQL. Its file is made of the statements, so that the two cannot drift apart.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from dags.tests.clickhouse.test_grants import configuration, user

if TYPE_CHECKING:
    from collections.abc import Iterable

README = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
SECONDS = {"hour": 3600}


def _statements(first: str) -> list[str]:
    """Those of the block whose first line begins so, each on a line of its own."""
    [block] = re.findall(rf"```sql\n(-- {first}.+?)```", README, re.DOTALL)
    return [one.strip() for one in " ".join(re.sub(r"--.*", "", block).split()).split(";") if one.strip()]


GRANTS: dict[str, list[str]] = {}
for _statement in _statements("asks"):
    _grant, _, _name = _statement.rpartition(" TO ")
    GRANTS.setdefault(_name, []).append(_grant)
READER, BUILDER, MIGRATOR = GRANTS
LIMITS = _statements("limits")


def _settings(text: str) -> str:
    """Of a profile, in XML: values, and what a user may change them to."""
    values = constraints = ""
    for one in text.split(", "):
        name, value, lowest, highest = re.fullmatch(r"(\w+) = (\d+)(?: MIN (\d+) MAX (\d+))?", one).groups()  # type: ignore[union-attr]
        values += f"<{name}>{value}</{name}>"
        if lowest is not None:
            constraints += f"<{name}><min>{lowest}</min><max>{highest}</max></{name}>"
    return f"{values}<constraints>{constraints}</constraints>"


def _maxima(text: str) -> str:
    return "".join(f"<{name}>{limit}</{name}>" for name, limit in re.findall(r"(\w+) = (\d+)", text))


def _profiles_and_quotas() -> tuple[str, str]:
    profiles = quotas = ""
    for statement in LIMITS:
        if found := re.fullmatch(r"CREATE SETTINGS PROFILE (\w+) SETTINGS (.+) TO \1", statement):
            profiles += f"<{found[1]}>{_settings(found[2])}</{found[1]}>"
            continue
        name, unit, maxima = re.fullmatch(
            r"CREATE QUOTA (\w+) KEYED BY user_name FOR INTERVAL 1 (\w+) MAX (.+) TO \1", statement
        ).groups()  # type: ignore[union-attr]
        quotas += f"<{name}><interval><duration>{SECONDS[unit]}</duration>{_maxima(maxima)}</interval></{name}>"
    return profiles, quotas


def limited(name: str, grants: Iterable[str], quota: str = "") -> str:
    """A user with these rights, and the profile of the name's; another quota where one is named."""
    return user(name, grants, name).replace("<quota>default</quota>", f"<quota>{quota or name}</quota>")


def three_users(others: Iterable[str] = (), quotas: str = "") -> str:
    """The file of a server that has the three, and others."""
    own_profiles, own_quotas = _profiles_and_quotas()
    text = configuration([*(limited(name, grants) for name, grants in GRANTS.items()), *others])
    text = text.replace("</profiles>", f"{own_profiles}</profiles>")
    return text.replace("</quotas>", f"{own_quotas}{quotas}</quotas>")
