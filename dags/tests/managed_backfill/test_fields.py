"""What may be asked of the list of backfills, and what it says where there is none."""

from __future__ import annotations

import pytest

from dags.domain.errors import UserError
from dags.domain.given import read
from dags.managed_backfill.fields import ShowConfig


def test_a_word_that_was_mistyped_is_refused_and_not_answered_with_nothing() -> None:
    assert read(ShowConfig, {"status": "", "origin": ""}).required() == ShowConfig()
    assert read(ShowConfig, {"status": "deleted", "origin": "automatic"}).required().origin == "automatic"
    with pytest.raises(UserError, match=r"status is 'complete': give one of .*completed.*\norigin is 'Managed': give"):
        read(ShowConfig, {"status": "complete", "origin": "Managed"}).required()


def test_an_empty_list_says_of_what_and_that_deleted_ones_are_not_in_it() -> None:
    assert ShowConfig().none_found() == "No backfill; those that were deleted are shown with status: deleted."
    failed = read(ShowConfig, {"table": "stats", "status": "failed"}).required()
    assert failed.none_found() == "No backfill of table stats, status failed."
