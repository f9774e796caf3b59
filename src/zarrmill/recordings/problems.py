"""What is found wrong in an input: every finding at once, each with a code, a place and a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]
"""``info`` changes nothing, ``warning`` left something missing, ``error`` made a part unreadable."""
NO_ROW = -1
"""The row of a problem of a whole group, dataset or file."""


@dataclass(frozen=True, slots=True, order=True)
class InputProblem:
    """One finding of a check of an input."""

    path: str
    """Group or dataset in the file, as in ``events/task_started/data``; empty for the file itself."""
    row: int
    """Row within it from 0; -1 for all of it."""
    code: str
    """Stable name, as in ``bad_json``."""
    severity: Severity
    """How much it matters."""
    message: str
    """What is wrong and what became of it, in one line without the text of the row: that may be personal."""

    def to_json(self) -> dict[str, Any]:
        """Return the problem as JSON values."""
        return asdict(self)


INPUT_CODES: Mapping[str, tuple[Severity, str]] = {
    "bad_json": ("error", "the text of a row is not JSON; it is kept as it is"),
    "bad_start_time": ("warning", "start_time of the metadata is no time in s, ms, us, ns or ISO form"),
    "empty_group": ("info", "a group of events holds nothing"),
    "lone_surrogate": ("warning", "half of a surrogate pair in JSON, kept as an escape"),
    "missing_time": ("warning", "NaN, infinite, zero or negative instead of a time"),
    "no_device": ("info", "there are neither EEG nor fNIRS frames"),
    "no_event_ids": ("info", "a group of events has no ids"),
    "no_events": ("warning", "the file has no group of events"),
    "no_frames": ("error", "a device has no frames that can be read; it is left out"),
    "no_payloads": ("warning", "a group of events has no JSON rows"),
    "no_start_time": ("warning", "the metadata have no start_time"),
    "no_timestamps": ("warning", "a group of events or a device has no timestamps"),
    "not_an_object": ("error", "JSON, but no object"),
    "not_utf8": ("warning", "bytes that are not UTF-8, kept as escapes"),
    "nul_in_text": ("info", "a NUL character in a text; it is kept"),
    "null_payload": ("info", "the JSON text of a row is null"),
    "odd_time": ("warning", "a time before 2000 or after 2100; it is kept"),
    "repeated_event_id": ("info", "an event id that an earlier row of the group has; both rows are kept"),
    "start_time_disagrees": ("warning", "start_time is far from the first event; it is kept"),
    "start_time_without_zone": ("info", "start_time is ISO text without a zone, taken for UTC"),
    "time_order": ("info", "times of a device that do not increase"),
    "too_long": ("warning", "more rows than the group has; the extra ones are not used"),
    "too_short": ("warning", "fewer rows than the group has; the others are missing"),
    "two_layouts": ("info", "a device stands in both layouts; devices/ is used"),
    "unreadable": ("error", "HDF5 cannot read it"),
    "unreadable_file": ("error", "the file cannot be opened at all"),
    "wrong_kind": ("error", "a dataset in place of a group, or a group in place of a dataset"),
    "wrong_shape": ("error", "a shape that the format does not have"),
    "wrong_type": ("error", "a type of values that the format does not have"),
}
"""What can be wrong with a curated file: how much it matters, and what it means."""


class Findings:
    """Collects what is found wrong with a file."""

    def __init__(self) -> None:
        self._found: list[InputProblem] = []

    def add(self, code: str, path: str, message: str, *, row: int = NO_ROW) -> None:
        """Add a problem, with the severity that its code has."""
        self._found.append(InputProblem(path, row, code, INPUT_CODES[code][0], message))

    def sorted(self) -> tuple[InputProblem, ...]:
        """Return the problems by path and row."""
        return tuple(sorted(self._found))
