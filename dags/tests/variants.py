"""Variants of a story: one is told in the default suite, all of them every night."""

from __future__ import annotations

import os
from typing import Any

import pytest

from dags.tests.clickhouse_cluster import cluster_obstacle


def variants(first: object, *others: object) -> list[Any]:
    """What a test is parametrized with, one value or a tuple each: ``first`` in the default suite, all every night."""
    return [
        first,
        *(pytest.param(*(other if isinstance(other, tuple) else (other,)), marks=pytest.mark.slow) for other in others),
    ]


# Stories of which CI tells each on one engine, for on the other it would say little more; every night on both. Where a
# story is of decisions, words and lists, that is the embedded one, in `make test`; where it is of data, swaps and
# clocks, a server, in `make stories`. Of a module's `pytestmark` the last exempts a test.
server_at_night = pytest.mark.at_night("server")
embedded_at_night = pytest.mark.at_night("embedded")
both_by_day = pytest.mark.at_night()

# A story that takes long, of lists and words or of a rule that another one tells by day.
at_night = pytest.mark.slow(minutes=1)

# Tests of statements that ask no engine for anything of its own: the default suite runs them on the embedded one, `make
# stories`, which CI runs as well, on a server.
server_in_stories = pytest.mark.story

# The engines of what is told among replicas as well, by who overrides `dsn_text` with it.
WITH_REPLICAS = ["embedded", "server", pytest.param("replicas", marks=pytest.mark.cluster)]


def require_cluster() -> None:
    """Skip a test where no replicas can be started; where all of them have to be told, as in CI, fail it."""
    if reason := cluster_obstacle():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
