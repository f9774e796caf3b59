"""Which end belongs to which start: matched by id and then in time, never by position."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import isnan

UNPAIRED = -1
"""What stands for the end of a start that has none."""


@dataclass(frozen=True, slots=True)
class Side:
    """All starts, or all ends."""

    ids: Sequence[Hashable]
    """What tells those apart that can belong together; None counts as an id of its own."""
    times: Sequence[float]
    """When they were; NaN where that is missing."""


def pair_times(starts: Sequence[float], ends: Sequence[float]) -> list[int]:
    """Return for each start the index of its end, or -1: the first end after it and before the next start.

    So an end closes the latest start, and a start that was never ended takes no end of a later one. An end at the very
    time of a start closes an earlier start if one is open, else that one. NaN belongs to nothing.

    >>> pair_times([0, 10, 20], [15, 25, 26])
    [-1, 0, 1]
    """
    if len(starts) == len(ends) == 1:
        return [0 if starts[0] <= ends[0] else UNPAIRED]
    found = [UNPAIRED] * len(starts)
    waiting = _in_time(starts)[::-1]
    current = UNPAIRED
    for end in _in_time(ends):
        while waiting and starts[waiting[-1]] < ends[end]:
            current = waiting.pop()
        if current == UNPAIRED and waiting and starts[waiting[-1]] == ends[end]:
            current = waiting.pop()
        if current != UNPAIRED:
            found[current], current = end, UNPAIRED
    return found


def pair_by_id(starts: Side, ends: Side, *, untimed: bool) -> list[int]:
    """Return for each start the index of its end, or -1: those of one id are matched in time.

    With ``untimed``, the one start and the one end that an id has left belong together where either has no time.

    >>> pair_by_id(Side(["a", "b"], [0, 1]), Side(["b", "a"], [2, 3]), untimed=True)
    [1, 0]
    """
    found = [UNPAIRED] * len(starts.ids)
    rows_of_ends = _rows_by_id(ends.ids)
    for name, rows in _rows_by_id(starts.ids).items():
        others = rows_of_ends.get(name, [])
        local = pair_times([starts.times[row] for row in rows], [ends.times[row] for row in others])
        if untimed and name is not None:
            _pair_last(local, [starts.times[row] for row in rows], [ends.times[row] for row in others])
        for row, end in zip(rows, local, strict=True):
            found[row] = UNPAIRED if end == UNPAIRED else others[end]
    return found


def find_unpaired(pairs: Sequence[int], n_ends: int) -> list[int]:
    """Return the ends that belong to no start.

    >>> find_unpaired([2, -1, 0], 4)
    [1, 3]
    """
    return sorted(set(range(n_ends)) - set(pairs))


def _in_time(times: Sequence[float]) -> list[int]:
    """Return the indices of what has a time, in time; those of one time stay in order."""
    return sorted((index for index, time in enumerate(times) if not isnan(time)), key=times.__getitem__)


def _rows_by_id(ids: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, name in enumerate(ids):
        rows[name].append(row)
    return rows


def _pair_last(pairs: list[int], starts: Sequence[float], ends: Sequence[float]) -> None:
    """Pair what is left of one id, where it is one start and one end of which the order cannot be told."""
    open_starts = [row for row, end in enumerate(pairs) if end == UNPAIRED]
    left = find_unpaired(pairs, len(ends))
    if len(open_starts) == len(left) == 1 and (isnan(starts[open_starts[0]]) or isnan(ends[left[0]])):
        pairs[open_starts[0]] = left[0]
