"""Elements: what was shown or asked within a task, from its sending to the first reply."""

from __future__ import annotations

from typing import Any

from zarrmill.recordings.pairs import UNPAIRED
from zarrmill.recordings.payloads import Payload
from zarrmill.recordings.raw_events import RawEvents
from zarrmill.recordings.session_times import SessionTimes
from zarrmill.recordings.settings import EventSettings
from zarrmill.recordings.spans import Spans, match_spans, order_spans

TABLE = "element"
"""Name of the table."""
_CONTENT, _TASK = "element_content", "task_metadata"


def find_elements(raw: RawEvents, settings: EventSettings) -> Spans:
    """Return a row for every element sent, with the first reply at or after it and before it is sent again."""

    def read_id(position: int) -> str | None:
        payload = raw.payload(position)
        found = payload.text("element_id")
        return payload.text(_CONTENT, "element_id") if found is None else found

    return order_spans(raw, match_spans(raw, settings.element, id_of=read_id, match_by=read_id), table=TABLE)


def read_elements(raw: RawEvents, elements: Spans, *, times: SessionTimes) -> dict[str, Any]:
    """Return the columns of elements but for what relates them to tasks."""
    payloads = [raw.payload(position) for position in elements.starts]
    replies = [None if row.end == UNPAIRED else raw.payload(row.end) for row in elements.rows]
    return {
        **elements.columns(),
        "session_relative_time": times.relative(elements.start_times),
        "response_time_seconds": [_response_time(payload) for payload in payloads],
        "session_fraction": [payload.number(_CONTENT, _TASK, "fraction_session_completed") for payload in payloads],
        "sequence_idx": [payload.integer(_CONTENT, _TASK, "current_count") for payload in payloads],
        "max_count": [payload.integer(_CONTENT, _TASK, "max_count") for payload in payloads],
        "is_instruction": [payload.flag(_CONTENT, "is_instruction") for payload in payloads],
        "with_interruptions": [payload.flag(_CONTENT, "with_interruptions") for payload in payloads],
        "element_type": [payload.text(_CONTENT, "element_type") for payload in payloads],
        "title": [payload.text(_CONTENT, "title") for payload in payloads],
        "task_id": [payload.text(_CONTENT, _TASK, "task_id") for payload in payloads],
        "task_type": [payload.text(_CONTENT, _TASK, "task_type") for payload in payloads],
        "input_modality": [reply and reply.text("input_modality") for reply in replies],
        "audio_mode": [payload.text(_CONTENT, "audio_mode") for payload in payloads],
    }


def _response_time(payload: Payload) -> float | None:
    """Return the element's own time for a reply, of which 0 is one; that of its task only where it has none."""
    own = payload.number(_CONTENT, "response_time_seconds")
    return payload.number(_CONTENT, _TASK, "config", "response_time_seconds") if own is None else own
