"""Variants of a story: one is told in the default suite, all of them every night."""

from __future__ import annotations

from typing import Any

import pytest


def variants(first: object, *others: object) -> list[Any]:
    """What a test is parametrized with, one value or a tuple each: ``first`` in the default suite, all every night."""
    return [
        first,
        *(pytest.param(*(other if isinstance(other, tuple) else (other,)), marks=pytest.mark.slow) for other in others),
    ]


# A story that says little of the engine: on the embedded one in the default suite, on a server every night.
server_at_night = pytest.mark.parametrize(
    "dsn_text", ["embedded", pytest.param("server", marks=pytest.mark.slow)], indirect=True
)
