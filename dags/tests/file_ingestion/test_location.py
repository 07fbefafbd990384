"""How files are asked for where they lie."""

import pytest

from dags.file_ingestion.location import EVERY_NAME, OBJECTS_A_NAME, Location


@pytest.mark.parametrize(
    ("objects", "by_name"),
    [(0, EVERY_NAME), (1, 0), (3 * OBJECTS_A_NAME, 0), (3 * OBJECTS_A_NAME + 1, EVERY_NAME)],
)
def test_files_are_listed_again_where_that_asks_less_than_their_names_and_it_is_known_that_it_does(
    objects: int, by_name: int
) -> None:
    assert Location.by_name(["a", "b", "c"], objects) == by_name
