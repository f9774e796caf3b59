"""Frames whose times rise, and those that do not: duplicates, steps backward, times that cannot be."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_MS = 24 * 3600 * 1000.0
"""Distance from the median time beyond which a time is no time of the recording: one at 0 would make 8e9 windows."""


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """The frames of a device, sorted out by their times."""

    times: NDArray[np.float64]
    """Time of every frame as the device gave it, epoch milliseconds."""
    kept: NDArray[np.int64]
    """Frames whose times rise strictly: as many as there can be."""
    duplicate: NDArray[np.int64]
    """Frames with the very time of one that is kept."""
    backward: NDArray[np.int64]
    """Other frames that are not in order."""
    untimed: NDArray[np.int64]
    """Frames without a finite time, or with one a day or more away from the median."""

    @property
    def kept_times(self) -> NDArray[np.float64]:
        """Times of the frames that are kept."""
        return self.times[self.kept]


def sort_out(times: NDArray[np.float64]) -> Ordered:
    """Return which frames can be placed by their times.

    >>> found = sort_out(np.array([0.0, 30, 30, 60, 20, 90, np.nan]))
    >>> found.kept.tolist(), found.duplicate.tolist(), found.backward.tolist(), found.untimed.tolist()
    ([0, 1, 3, 5], [2], [4], [6])
    """
    finite = np.isfinite(times)
    middle = float(np.median(times[finite])) if finite.any() else 0.0
    with np.errstate(invalid="ignore"):
        timed = finite & (np.abs(times - middle) <= MOST_MS)
    candidates = np.flatnonzero(timed)
    kept = candidates[longest_rise(times[candidates])]
    rest = np.setdiff1d(candidates, kept, assume_unique=True)
    twice = np.isin(times[rest], times[kept])
    return Ordered(times, kept, rest[twice], rest[~twice], np.flatnonzero(~timed))


def longest_rise(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the positions of the longest strictly rising subsequence, of equal values the first.

    >>> longest_rise(np.array([1.0, 900, 2, 3, 3, 4])).tolist()
    [0, 2, 3, 5]
    """
    if np.all(np.diff(values) > 0):
        return np.arange(len(values), dtype=np.int64)
    tails: list[float] = []  # smallest last value of the rises of each length, and where that stands
    ends: list[int] = []
    before = [-1] * len(values)
    for i, value in enumerate(values.tolist()):
        length = bisect_left(tails, value) if tails and value <= tails[-1] else len(tails)
        if length < len(tails) and tails[length] == value:
            continue
        before[i] = ends[length - 1] if length else -1
        if length == len(tails):
            tails.append(value)
            ends.append(i)
        else:
            tails[length], ends[length] = value, i
    return _walk_back(ends, before)


def _walk_back(ends: list[int], before: list[int]) -> NDArray[np.int64]:
    path, at = [], ends[-1] if ends else -1
    while at >= 0:
        path.append(at)
        at = before[at]
    return np.array(path[::-1], dtype=np.int64)
