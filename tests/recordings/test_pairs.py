"""Ends are matched to starts by id and then in time, never by position."""

from __future__ import annotations

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.recordings.pairs import UNPAIRED, Side, find_unpaired, pair_by_id, pair_times

CASES = {
    "in turn": ([0, 10], [5, 15], [0, 1]),
    "an unfinished one takes no later end": ([0, 10], [15], [UNPAIRED, 0]),
    "the last one is unfinished": ([0, 10], [5], [0, UNPAIRED]),
    "an end before everything": ([10], [5], [UNPAIRED]),
    "one end too many": ([0], [5, 6], [0]),
    "an end at the start of the next": ([0, 10], [10, 20], [0, 1]),
    "of no length": ([10], [10], [0]),
    "of no length after an unfinished one": ([0, 10], [10], [0, UNPAIRED]),
    "out of order in the file": ([10, 0], [15, 5], [0, 1]),
    "a start without a time": ([nan, 0], [5], [UNPAIRED, 0]),
    "an end without a time": ([0], [nan], [UNPAIRED]),
    "nothing": ([], [], []),
}


@pytest.mark.parametrize(("starts", "ends", "expected"), CASES.values(), ids=CASES)
def test_an_end_belongs_to_the_latest_start(starts, ends, expected):
    """The first end after a start and before the next start is its own."""
    assert pair_times(starts, ends) == expected


TIMES = st.lists(st.one_of(st.just(nan), st.integers(0, 12).map(float)), max_size=9)


@given(TIMES, TIMES)
def test_pairs_are_sound_and_none_is_missed(starts, ends):
    """No end is used twice or comes before its start, none skips a start, and no start is left that could take one."""
    pairs = pair_times(starts, ends)
    used = [end for end in pairs if end != UNPAIRED]

    assert len(pairs) == len(starts)
    assert len(set(used)) == len(used)
    for start, end in enumerate(pairs):
        if end == UNPAIRED:
            continue
        assert starts[start] <= ends[end]
        assert not any(starts[start] < other < ends[end] for other in starts)
        earlier = [k for k, time in enumerate(ends) if starts[start] < time < ends[end]]
        assert earlier == []
    for start in (row for row, end in enumerate(pairs) if end == UNPAIRED):
        if starts.count(starts[start]) > 1:
            continue
        following = min((time for time in starts if time > starts[start]), default=float("inf"))
        free = set(range(len(ends))) - set(used)
        assert not any(starts[start] < ends[end] < following for end in free)


def test_ids_keep_apart_what_overlaps():
    """Two that run at once and end in the other order are matched by id."""
    assert pair_by_id(Side(["a", "b"], [0, 1]), Side(["b", "a"], [5, 9]), untimed=True) == [1, 0]


def test_a_missing_id_matches_only_a_missing_id():
    """What has no id belongs to no id."""
    assert pair_by_id(Side([None, "a"], [0, 1]), Side(["b", None], [2, 3]), untimed=True) == [1, UNPAIRED]


@pytest.mark.parametrize("times", [(nan, 5.0), (0.0, nan), (nan, nan)], ids=["no start", "no end", "neither"])
def test_the_only_two_of_an_id_belong_together_without_times(times):
    """An id says enough where there is one start and one end."""
    start, end = times

    assert pair_by_id(Side(["a"], [start]), Side(["a"], [end]), untimed=True) == [0]
    assert pair_by_id(Side(["a"], [start]), Side(["a"], [end]), untimed=False) == [UNPAIRED]


def test_an_end_before_its_start_is_not_taken_for_want_of_another():
    """An id does not make a negative duration."""
    assert pair_by_id(Side(["a"], [10]), Side(["a"], [5]), untimed=True) == [UNPAIRED]


def test_ends_without_a_start_are_told():
    """Every end that nothing took is in the list."""
    assert find_unpaired([1, UNPAIRED], 3) == [0, 2]
