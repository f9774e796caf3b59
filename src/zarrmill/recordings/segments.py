"""Segments: stretches of recording, thinking or pause, each within the element in which it starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.containment import NONE, Rows
from zarrmill.recordings.pairs import UNPAIRED
from zarrmill.recordings.raw_events import RawEvents
from zarrmill.recordings.schema import MISSING_INTEGER
from zarrmill.recordings.settings import EventSettings
from zarrmill.recordings.spans import Spans, match_spans, order_spans

TABLE = "segment"
"""Name of the table."""


def find_segments(raw: RawEvents, settings: EventSettings) -> Spans:
    """Return a row for every start of a segment of any type, with its end: matched in time within the type."""

    def read_id(position: int) -> str | None:
        return raw.rows[position].event_id

    spans = [span for pair in settings.segments for span in match_spans(raw, pair, id_of=read_id)]
    return order_spans(raw, spans, table=TABLE)


def read_segments(raw: RawEvents, segments: Spans, *, elements: Spans, element_rows: Rows) -> dict[str, Any]:
    """Return the columns of segments, with the elements in which they start."""
    return {
        **place_segments(segments, elements=elements, element_rows=element_rows),
        "start_event_id": [raw.rows[row.start].event_id for row in segments.rows],
        "end_event_id": [None if row.end == UNPAIRED else raw.rows[row.end].event_id for row in segments.rows],
    }


def place_segments(segments: Spans, *, elements: Spans, element_rows: Rows) -> dict[str, Any]:
    """Return the columns of segments but for the ids of their events."""
    types = [row.pair.name for row in segments.rows]
    keys = elements.occurrences.keys
    return {
        **segments.columns(),
        "element_relative_start": segments.start_times - _at(elements.start_times, element_rows),
        "spans_elements": _find_spanning(segments.end_times, _at(elements.end_times, element_rows)),
        "segment_type": types,
        "type_index": types,
        "containing_element_id": [None if row == NONE else keys[row] for row in element_rows.tolist()],
        "element_row": element_rows,
    }


def _at(times: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
    """Return the times of rows, NaN for no row."""
    return np.append(times, np.nan)[rows]


def _find_spanning(ends: NDArray[np.float64], element_ends: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return 1 where a segment ends after its element, 0 where it does not, -1 where one of both is not known."""
    known = ~(np.isnan(ends) | np.isnan(element_ends))
    return np.where(known, ends > element_ends, MISSING_INTEGER).astype(np.int8)
