"""Which interval a time lies in: the innermost half-open one, found by a sorted search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.int32]
NONE = -1
"""The row of what lies in no interval."""


def find_innermost(starts: Floats, ends: Floats, times: Floats) -> Rows:
    """Return for each time the row of the interval [start, end) around it that starts last, or -1.

    Of intervals with one start the shortest is the innermost, of equal ones the last. NaN lies in nothing, and nothing
    lies in an interval with a NaN. The work is n log n in intervals and times, however they are nested.

    >>> find_innermost(np.array([0.0, 2]), np.array([10.0, 4]), np.array([1.0, 3, 4, 10]))
    array([ 0,  1,  0, -1], dtype=int32)
    """
    rows = np.flatnonzero(~(np.isnan(starts) | np.isnan(ends)))
    rows = rows[np.lexsort((-ends[rows], starts[rows]))]
    found = np.searchsorted(starts[rows], times, side="right") - 1
    found[~np.isfinite(times)] = NONE
    return np.append(rows, NONE)[_leave_ended(found, ends[rows], times)].astype(np.int32)


def close_open(starts: Floats, ends: Floats) -> Floats:
    """Return ends in which what was never ended lasts until the next start, and for ever where there is none.

    >>> close_open(np.array([0.0, 5, 9]), np.array([np.nan, 6, np.nan]))
    array([ 5.,  6., inf])
    """
    later = np.append(np.sort(starts[~np.isnan(starts)]), np.inf)
    following = later[np.minimum(np.searchsorted(later, starts, side="right"), len(later) - 1)]
    return np.where(np.isnan(ends), following, ends)


def _leave_ended(found: NDArray[np.intp], ends: Floats, times: Floats) -> NDArray[np.intp]:
    """Return for each time the latest interval up to ``found`` that has not ended by then; intervals are sorted.

    Those between an interval and the nearest earlier one that ends later have all ended before it, so they are passed
    over: by leaps that halve, as long as these lead to what has ended too.
    """
    ends = np.append(ends, np.inf)  # No interval is at index -1, and never ends.
    leaps = _find_longer(ends[:-1])
    for leap in reversed(leaps):
        ahead = leap[found]
        found = np.where((ends[found] <= times) & (ahead != NONE) & (ends[ahead] <= times), ahead, found)
    return np.where(ends[found] <= times, leaps[0][found], found)


def _find_longer(ends: Floats) -> list[NDArray[np.intp]]:
    """Return for each interval the nearest earlier one that ends later, then the 2nd, 4th, 8th … such; -1 is none."""
    nearest = np.full(len(ends) + 1, NONE, dtype=np.intp)
    values, waiting = ends.tolist(), list[int]()
    for row, end in enumerate(values):
        while waiting and values[waiting[-1]] <= end:
            waiting.pop()
        nearest[row] = waiting[-1] if waiting else NONE
        waiting.append(row)
    leaps = [nearest]
    while (leaps[-1] != NONE).any():
        leaps.append(leaps[-1][leaps[-1]])
    return leaps
