"""Which task a skip means: the one that it names, else the one that runs at that time, else the next."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np

from zarrmill.recordings.containment import NONE, close_open, find_innermost
from zarrmill.recordings.raw_events import RawEvents
from zarrmill.recordings.settings import EventSettings
from zarrmill.recordings.spans import Spans

_SKIPPED_BEFORE_START, _PARTIALLY = "skipped_before_start", "partially_completed_then_skipped"


def find_skips(raw: RawEvents, settings: EventSettings, tasks: Spans) -> list[int]:
    """Return for each task the position of the event that skipped it first, or -1.

    Skips that mean no task, and skips of one that was skipped before, are reported.
    """
    found = [NONE] * len(tasks.rows)
    for position in _in_time(raw, raw.of_type(settings.skip)):
        row = find_skipped(tasks, raw.payload(position).text("task_id"), raw.time(position))
        if row == NONE:
            raw.report("skip_without_task", position, "no task to skip: kept as a raw event only")
        elif found[row] != NONE:
            raw.report("repeated_skip", position, "the task was skipped before: kept as a raw event only")
        else:
            found[row] = position
    return found


def find_skipped(tasks: Spans, task_id: str | None, time: float) -> int:
    """Return the row of the task that a skip means, or -1.

    A named task that came up again is the occurrence that runs at that time, else the next, else the last. A name that
    no task has means none: what was running went on.
    """
    if task_id is None:
        return _running_or_next(tasks, range(len(tasks.rows)), time)
    rows = [row for row, task in enumerate(tasks.rows) if task.id == task_id]
    if len(rows) < 2:
        return rows[0] if rows else NONE
    row = _running_or_next(tasks, rows, time)
    return rows[-1] if row == NONE and not isnan(time) else row


def skip_status(start: float, skip: float) -> str | None:
    """Return how a skipped task ended; None where the times do not tell.

    >>> skip_status(5, 3), skip_status(5, 7)
    ('skipped_before_start', 'partially_completed_then_skipped')
    """
    if isnan(start) or isnan(skip):
        return None
    return _SKIPPED_BEFORE_START if skip < start else _PARTIALLY


def _running_or_next(tasks: Spans, rows: Sequence[int], time: float) -> int:
    """Return the task among some rows, which are in time, that runs at a time, else the first that starts later."""
    chosen = np.array(rows, dtype=np.intp)
    starts = tasks.start_times[chosen]
    ends = close_open(tasks.start_times, tasks.end_times)[chosen]
    running = int(find_innermost(starts, ends, np.array([time]))[0])
    if running != NONE:
        return rows[running]
    later = np.flatnonzero(starts >= time)
    return rows[int(later[0])] if len(later) else NONE


def _in_time(raw: RawEvents, positions: Sequence[int]) -> list[int]:
    return sorted(positions, key=lambda position: (isnan(raw.time(position)), raw.time(position)))
