"""The interval around a time is the innermost half-open one, found by a sorted search."""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.recordings.containment import NONE, close_open, find_innermost


def find_by_hand(starts, ends, time):
    """Look at every interval: the latest start, then the shortest, then the last row."""
    around = [row for row, (start, end) in enumerate(zip(starts, ends, strict=True)) if start <= time < end]
    return max(around, key=lambda row: (starts[row], -ends[row], row), default=NONE)


NUMBERS = st.one_of(st.just(float("nan")), st.integers(0, 15).map(float))
INTERVALS = st.lists(st.tuples(NUMBERS, st.one_of(st.just(float("inf")), NUMBERS)), max_size=14)


@given(INTERVALS, st.lists(NUMBERS, max_size=10))
def test_it_is_what_looking_at_every_interval_gives(intervals, times):
    """Nested, overlapping, equal, empty and missing intervals and times alike."""
    starts, ends = np.array(intervals, dtype=float).reshape(-1, 2).T

    found = find_innermost(starts, ends, np.array(times, dtype=float))

    assert found.dtype == np.int32
    assert found.tolist() == [find_by_hand(starts, ends, time) for time in times]


CASES = {
    "at the start": (0.0, 0),
    "at the end": (10.0, NONE),
    "in the inner one": (3.0, 1),
    "at the end of the inner one": (4.0, 0),
    "before all": (-1.0, NONE),
}


@pytest.mark.parametrize(("time", "row"), CASES.values(), ids=CASES)
def test_intervals_are_half_open_and_the_innermost_wins(time, row):
    """A start belongs to its interval and an end does not."""
    found = find_innermost(np.array([0.0, 2.0]), np.array([10.0, 4.0]), np.array([time]))

    assert found.tolist() == [row]


@pytest.mark.parametrize("nested", [False, True], ids=["in a row", "nested"])
def test_five_thousand_in_five_thousand_take_milliseconds(nested):
    """However the intervals are nested, the search is sorted and none is looked at twice."""
    starts = np.arange(5000.0)
    ends = 20_000 - starts if nested else starts + 1
    times = np.linspace(0, 25_000, 5000)
    begun = process_time()

    found = find_innermost(starts, ends, times)

    assert process_time() - begun < 0.2
    assert found[0] == 0
    assert found[-1] == NONE


def test_what_was_never_ended_lasts_until_the_next():
    """The last one lasts for ever."""
    ends = close_open(np.array([0.0, 5.0, 5.0, np.nan]), np.array([np.nan, 7.0, np.nan, np.nan]))

    assert ends.tolist() == [5.0, 7.0, np.inf, np.inf]
