"""Tasks: what was asked of somebody, from its start to its completion or skip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zarrmill.recordings.containment import NONE
from zarrmill.recordings.pairs import UNPAIRED
from zarrmill.recordings.raw_events import RawEvents
from zarrmill.recordings.session_times import SessionTimes
from zarrmill.recordings.settings import EventSettings
from zarrmill.recordings.skips import find_skips, skip_status
from zarrmill.recordings.spans import Spans, match_spans, order_spans

TABLE = "task"
"""Name of the table."""


def find_tasks(raw: RawEvents, settings: EventSettings) -> Spans:
    """Return a row for every start of a task, with its end: matched by the task's id, then in time."""

    def read_id(position: int) -> str | None:
        return raw.payload(position).text("task_id")

    return order_spans(raw, match_spans(raw, settings.task, id_of=read_id, match_by=read_id), table=TABLE)


def read_tasks(raw: RawEvents, tasks: Spans, *, settings: EventSettings, times: SessionTimes) -> dict[str, Any]:
    """Return the columns of tasks but for what relates them to elements."""
    payloads = [raw.payload(position) for position in tasks.starts]
    skips = find_skips(raw, settings, tasks)
    skip_times = [None if skip == NONE else raw.time(skip) for skip in skips]
    return {
        **tasks.columns(),
        "skip_time": skip_times,
        "session_fraction_start": times.fraction(tasks.start_times),
        "session_fraction_end": times.fraction(tasks.end_times),
        "count": [payload.integer("config", "count") for payload in payloads],
        "allow_repeats": [payload.flag("config", "allow_repeats") for payload in payloads],
        "with_interruptions": [payload.flag("config", "with_interruptions") for payload in payloads],
        "skipped": [skip != NONE for skip in skips],
        "task_type": [payload.text("task_type") for payload in payloads],
        "completion_status": _statuses(tasks, skip_times),
        "input_modality": [payload.text("config", "input_modality") for payload in payloads],
        "audio_mode": [payload.text("config", "audio_mode") for payload in payloads],
        "skip_event_row": np.array(skips, dtype=np.int32),
    }


def _statuses(tasks: Spans, skip_times: Sequence[float | None]) -> list[str | None]:
    """Return how each task ended: skipped, completed, or neither."""
    statuses: list[str | None] = []
    for task, start, skip in zip(tasks.rows, tasks.start_times.tolist(), skip_times, strict=True):
        if skip is not None:
            statuses.append(skip_status(start, skip))
        else:
            statuses.append("open" if task.end == UNPAIRED else "completed")
    return statuses
