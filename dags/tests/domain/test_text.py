"""How texts are cut, and which numbers in them are sizes."""

from __future__ import annotations

import pytest

from dags.domain.text import shortened, sizes_in_words


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("as it is", "as it is"),
        ("\n" * 20 + "boom", "boom"),
        ("\n" * 20, ""),
        ("some words more", "some words …"),
        ("some other words", "some other …"),
        ("a unbroken-and-long", "a unbroken …"),
        ("unbroken-and-long", "unbroken-a …"),
        ("", ""),
    ],
)
def test_a_text_is_cut_between_words_where_it_has_any(text: str, cut: str) -> None:
    assert shortened(text, 12) == cut


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1073741824 bytes", "1 GiB"),
        ("max_memory_usage = 10737418240, of 104857600 rows", "max_memory_usage = 10 GiB, of 104857600 rows"),
        ("1073741825 bytes", "1073741825 bytes"),
        ("run 1073741824-a, a1073741824, 0.1073741824", "run 1073741824-a, a1073741824, 0.1073741824"),
        ("1073741824 events", "1073741824 events"),
    ],
)
def test_numbers_that_are_said_to_be_bytes_are_told_as_sizes(text: str, said: str) -> None:
    assert sizes_in_words(text) == said
