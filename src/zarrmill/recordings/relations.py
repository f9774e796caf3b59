"""Which rows belong together: elements to tasks by id, segments to elements by time."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from math import inf, isnan

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.containment import NONE, Rows, close_open, find_innermost
from zarrmill.recordings.raw_events import RawEvents
from zarrmill.recordings.spans import Spans


def find_task_rows(task_ids: Sequence[str | None], elements: Spans, tasks: Spans) -> Rows:
    """Return the row of each element's task, or -1: the task of that id, of several the last one started by then."""
    rows_by_id: dict[str, list[int]] = defaultdict(list)
    for row, task in enumerate(tasks.rows):
        if task.id is not None:
            rows_by_id[task.id].append(row)
    starts = tasks.start_times.tolist()
    starts_by_id = {name: [starts[row] for row in rows] for name, rows in rows_by_id.items()}
    found = [
        _choose(rows_by_id[name], starts_by_id[name], time) if name is not None and name in rows_by_id else NONE
        for name, time in zip(task_ids, elements.start_times.tolist(), strict=True)
    ]
    return np.array(found, dtype=np.int32)


def report_lost_elements(raw: RawEvents, task_ids: Sequence[str | None], elements: Spans, task_rows: Rows) -> None:
    """Report elements that name a task that never started, once for each such task."""
    lost: dict[str, list[int]] = defaultdict(list)
    for name, element, row in zip(task_ids, elements.rows, task_rows.tolist(), strict=True):
        if name is not None and row == NONE:
            lost[name].append(element.start)
    for positions in lost.values():
        count = f"{len(positions)} elements of" if len(positions) > 1 else "an element of"
        raw.report("unknown_task", positions[0], f"{count} a task that had not started: related to none")


def find_element_rows(segments: Spans, elements: Spans) -> Rows:
    """Return the row of the innermost element in which each segment starts, or -1.

    An element without a reply lasts until the next one is sent.
    """
    ends = close_open(elements.start_times, elements.end_times)
    return find_innermost(elements.start_times, ends, segments.start_times)


def count_elements(task_rows: Rows, n_tasks: int) -> NDArray[np.int32]:
    """Return the number of elements of each task.

    >>> count_elements(np.array([0, -1, 0], dtype=np.int32), 2)
    array([2, 0], dtype=int32)
    """
    return np.bincount(task_rows[task_rows != NONE], minlength=n_tasks).astype(np.int32)


def _choose(rows: Sequence[int], starts: Sequence[float], time: float) -> int:
    """Return the row of one id that had started by a time; the only one of its id belongs whatever the times say."""
    if len(rows) == 1:
        return rows[0]
    # Rows are in time and those without one come last, where a key of infinity keeps the search in order.
    number = 0 if isnan(time) else bisect_right(starts, time, key=lambda start: inf if isnan(start) else start)
    return rows[number - 1] if number else NONE
