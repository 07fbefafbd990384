"""Which causes a mute has: by its key, in which a star alone means something."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dags.alerts.mutes import Mute, is_muted
from dags.tests.alerts.told import BEGIN


@pytest.mark.parametrize(
    ("pattern", "key", "has"),
    [
        ("gap:fails", "gap:fails", True),
        ("gap:*", "gap:fails", True),
        ("*", "files:a [1]:failed", True),
        ("files:a [1]:failed", "files:a [1]:failed", True),
        ("files:a [1]:*", "files:a 1:failed", False),
        ("gap:fail?", "gap:fails", False),
        ("gap", "gap:fails", False),
    ],
)
def test_a_star_is_whatever_stands_there_and_all_else_itself(pattern: str, key: str, *, has: bool) -> None:
    mute = Mute(pattern, BEGIN + timedelta(hours=1), "ada", "known")
    assert is_muted([mute], key, BEGIN) is has
    assert not is_muted([mute], key, BEGIN + timedelta(hours=1))
