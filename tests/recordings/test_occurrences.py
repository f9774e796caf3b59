"""Keys are unique whatever ids come up again or are missing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zarrmill.recordings.occurrences import number_occurrences

IDS = st.lists(st.one_of(st.none(), st.sampled_from(["", "a", "a#2", "a#2#", "task-0", "task-1"])), max_size=12)


@given(IDS)
def test_keys_are_unique_and_first_ones_are_the_ids(ids):
    """An id that is also the suffixed form of another keeps its name."""
    found = number_occurrences(ids, table="task")

    assert len(set(found.keys)) == len(ids)
    for row, name in enumerate(ids):
        assert found.numbers[row] == (None if name is None else ids[: row + 1].count(name))
        if name is not None and ids.index(name) == row:
            assert found.keys[row] == name
