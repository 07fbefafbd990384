"""What may be asked of the list of backfills, and what it says where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from dags.domain.errors import UserError
from dags.managed_backfill.fields import none_found, refuse_unknown_words, require_whole_id

NOTHING: dict[str, Any] = {"table": "", "status": "", "origin": ""}


def test_a_word_that_was_mistyped_is_refused_and_not_answered_with_nothing() -> None:
    refuse_unknown_words(NOTHING)
    refuse_unknown_words({**NOTHING, "status": "deleted", "origin": "automatic"})
    with pytest.raises(UserError, match=r"status is 'complete': give one of .*completed.*\norigin is 'Managed': give"):
        refuse_unknown_words({**NOTHING, "status": "complete", "origin": "Managed"})


def test_an_empty_list_says_of_what_and_that_deleted_ones_are_not_in_it() -> None:
    assert none_found(NOTHING) == "No backfill; those that were deleted are shown with status: deleted."
    assert none_found({**NOTHING, "table": "stats", "status": "failed"}) == "No backfill of table stats, status failed."


def test_what_cannot_be_undone_wants_the_whole_id() -> None:
    require_whole_id("backfill-1", "backfill-1")
    with pytest.raises(UserError, match="give the whole id, backfill-1"):
        require_whole_id("b", "backfill-1")
