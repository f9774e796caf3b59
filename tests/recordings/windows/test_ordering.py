"""Frames in order of their times: as many as can be kept, and every other one with what is wrong."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.recordings.windows.ordering import longest_rise, sort_out


@given(st.lists(st.integers(0, 6), max_size=8))
def test_no_longer_rise_exists(values: list[int]) -> None:
    """The rise found is strictly rising, and as long as the longest by trying all."""
    array = np.array(values, dtype=np.float64)

    found = array[longest_rise(array)].tolist()

    rises = (
        n
        for n in range(len(values), -1, -1)
        for picked in itertools.combinations(values, n)
        if all(a < b for a, b in itertools.pairwise(picked))
    )
    assert all(a < b for a, b in itertools.pairwise(found))
    assert len(found) == next(rises)


@given(st.lists(st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 9).map(float)), max_size=20))
def test_every_frame_is_in_one_group(values: list[float]) -> None:
    """Kept, duplicate, backward and untimed frames are all frames, each once."""
    found = sort_out(np.array(values, dtype=np.float64))

    groups = (found.kept, found.duplicate, found.backward, found.untimed)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(values)))


def test_a_long_recording_takes_no_time() -> None:
    """A quarter of a million frames with faults are sorted out at once."""
    times = 1e12 + 30.0 * np.arange(250_000)
    times[::1_000] -= 45.0

    assert len(sort_out(times).kept) >= 249_700
