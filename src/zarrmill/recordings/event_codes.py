"""What can be found wrong while tables are made from events: how much it matters, and what it means."""

from __future__ import annotations

from collections.abc import Mapping

from zarrmill.recordings.problems import Severity

EVENT_CODES: Mapping[str, tuple[Severity, str]] = {
    "before_session_start": ("warning", "tasks start before the session; their part of it is missing"),
    "ambiguous_zero": ("info", "an old event file cannot tell 0 and False from missing; they are kept"),
    "end_before_start": ("warning", "an end before all starts of its id; it is in the raw events only"),
    "end_without_start": ("warning", "an end of an id that never started; it is in the raw events only"),
    "extra_end": ("warning", "one end too many, as a second reply; it is in the raw events only"),
    "lone_surrogate": ("warning", "a text that no UTF-8 can hold, kept as an escape"),
    "no_id": ("warning", "a task, element or segment without an id; its key is made up"),
    "no_session_span": ("warning", "the start of the session is missing or after its last event"),
    "no_table": ("info", "an old event file lacks a table; it has zero rows"),
    "out_of_range": ("warning", "a number that its column cannot hold; it is missing"),
    "repeated_id": ("info", "an id that came up before; it has a row and a key of its own"),
    "repeated_skip": ("warning", "a task that was skipped before is skipped again"),
    "skip_without_task": ("warning", "a skip that means no task; it is in the raw events only"),
    "start_without_end": ("warning", "it was never ended; it is kept, its end missing"),
    "unknown_field": ("info", "a field of an old event file that no column holds; it is left out"),
    "unknown_task": ("warning", "elements of a task that had not started; they are related to none"),
    "wrong_json_type": ("warning", "a JSON value of another type than its column; it is missing"),
}
"""The problems by code; those of the file itself are ``problems.INPUT_CODES``."""


def severity_of(code: str) -> Severity:
    """Return how much a problem matters."""
    return EVENT_CODES[code][0]
