"""What has a start and maybe an end: tasks, elements and segments as pairs of events, a row for every start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.occurrences import Occurrences, number_occurrences
from zarrmill.recordings.pairs import UNPAIRED, Side, find_unpaired, pair_by_id
from zarrmill.recordings.raw_events import RawEvents
from zarrmill.recordings.settings import EventPair

ReadId = Callable[[int], str | None]
"""Gives the id of the event at a position."""


@dataclass(frozen=True, slots=True)
class Span:
    """A start with its end."""

    pair: EventPair
    """The event types of both."""
    id: str | None
    """Id of the row; None where it has none."""
    start: int
    """Position of the event of the start."""
    end: int
    """Position of the event of the end, -1 without one."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The rows of a table, in the order of their starts; those without a time come last."""

    table: str
    """Name of the table."""
    rows: tuple[Span, ...]
    """The rows."""
    start_times: NDArray[np.float64]
    """Time of each start, epoch milliseconds; NaN where it is missing."""
    end_times: NDArray[np.float64]
    """Time of each end; NaN where that or the end is missing."""
    occurrences: Occurrences
    """Keys of the rows."""

    @property
    def starts(self) -> list[int]:
        """Positions of the events of the starts."""
        return [row.start for row in self.rows]

    def columns(self) -> dict[str, Any]:
        """Return the columns that all tables of spans share."""
        return {
            f"{self.table}_id": self.occurrences.keys,
            "occurrence": self.occurrences.numbers,
            "start_time": self.start_times,
            "end_time": self.end_times,
            "duration": self.end_times - self.start_times,
            "start_event_row": self.starts,
            "end_event_row": [row.end for row in self.rows],
        }


def match_spans(raw: RawEvents, pair: EventPair, *, id_of: ReadId, match_by: ReadId | None = None) -> list[Span]:
    """Return a span for every start of a pair of event types, with its end where there is one.

    Ends are matched by ``match_by``, an id that both have, or without one by time alone. Starts without an end and ends
    without a start are reported.
    """
    starts, ends = raw.of_type(pair.start), raw.of_type(pair.end)
    first, second = _side(raw, starts, match_by), _side(raw, ends, match_by)
    pairs = pair_by_id(first, second, untimed=match_by is not None)
    for start, end in zip(starts, pairs, strict=True):
        if end == UNPAIRED:
            raw.report("start_without_end", start, f"{pair.name} without {pair.end}: kept, its end missing")
    _report_ends(raw, first, second, [ends[row] for row in find_unpaired(pairs, len(ends))], ends)
    return [
        Span(pair, id_of(start), start, UNPAIRED if end == UNPAIRED else ends[end])
        for start, end in zip(starts, pairs, strict=True)
    ]


def order_spans(raw: RawEvents, spans: Iterable[Span], *, table: str) -> Spans:
    """Return spans as the rows of a table; ids that come up again are reported."""
    rows = tuple(sorted(spans, key=lambda span: _sort_key(raw.time(span.start))))
    occurrences = number_occurrences([row.id for row in rows], table=table)
    for row, number in zip(rows, occurrences.numbers, strict=True):
        if number is None:
            raw.report("no_id", row.start, f"{table} without an id: its key is made up")
        elif number > 1:
            raw.report("repeated_id", row.start, f"occurrence {number} of one {table} id: a row of its own")
    start_times = np.array([raw.time(row.start) for row in rows], dtype=np.float64)
    end_times = np.array([nan if row.end == UNPAIRED else raw.time(row.end) for row in rows], dtype=np.float64)
    return Spans(table, rows, start_times, end_times, occurrences)


def _side(raw: RawEvents, positions: Sequence[int], match_by: ReadId | None) -> Side:
    ids = [match_by(position) if match_by else "" for position in positions]
    return Side(ids, [raw.time(position) for position in positions])


def _sort_key(time: float) -> tuple[bool, float]:
    return (True, 0.0) if isnan(time) else (False, time)


def _report_ends(raw: RawEvents, starts: Side, ends: Side, unpaired: Sequence[int], positions: Sequence[int]) -> None:
    """Report ends that belong to no start, and why."""
    first: dict[Any, float] = {}
    for name, time in zip(starts.ids, starts.times, strict=True):
        first[name] = min(first.get(name, time), time)
    ids = dict(zip(positions, ends.ids, strict=True))
    for position in unpaired:
        if ids[position] not in first:
            raw.report("end_without_start", position, "an end without a start: kept as a raw event only")
        elif raw.time(position) < first[ids[position]]:
            raw.report("end_before_start", position, "an end before its start: kept as a raw event only")
        else:
            raw.report("extra_end", position, "one end too many: kept as a raw event only")
