"""Tasks, elements and segments of a session as rows of seconds: what every export is made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.event_reader import Events
from zarrmill.recordings.schema import VALID
from zarrmill.recordings.session_timeline import SPANS, Origin, SessionTimeline

TEXTS: Mapping[str, tuple[str, ...]] = {
    "task": ("task_type", "completion_status", "input_modality"),
    "element": ("element_type", "task_type", "input_modality"),
    "segment": (),
}
"""Texts of each table that are exported; titles only where they are asked for."""
TITLE = "title"


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One task, element or segment."""

    table: str
    """task, element or segment."""
    category: str
    """What it is in one word: task, element, or the type of the segment."""
    onset: float
    """Seconds from the origin to its start; NaN where that is not known."""
    duration: float
    """Seconds from its start to its end; NaN where that is not known."""
    key: str
    """Its unique name within its table."""
    texts: Mapping[str, str | None]
    """The texts that this table has; None where one is missing."""


@dataclass(frozen=True, slots=True, eq=False)
class ExportRows:
    """A session as rows of seconds."""

    origin_ms: float
    """When seconds count from, epoch milliseconds."""
    rows: tuple[ExportRow, ...]
    """By onset; those without one come last."""
    gaps: Mapping[str, NDArray[np.float64]]
    """(gaps, 2) by device: onset and duration in seconds of what is missing in its frames."""


def make_rows(timeline: SessionTimeline, *, origin: Origin = "start", titles: bool = False) -> ExportRows:
    """Return a session as rows of seconds from an origin; what was shown comes only with ``titles``.

    Raises InvalidInputError where the origin is not known.
    """
    zero = timeline.origin(origin)
    rows = [row for table in SPANS for row in _read(timeline.events, table, zero, titles)]
    # False before True, and no NaN is ever compared.
    rows.sort(key=lambda row: (isnan(row.onset), 0.0 if isnan(row.onset) else row.onset))
    gaps = {
        name: np.column_stack(((found.gaps[:, 0] - zero) / 1000, (found.gaps[:, 1] - found.gaps[:, 0]) / 1000))
        for name, found in timeline.coverage.items()
    }
    return ExportRows(zero, tuple(rows), gaps)


def _read(events: Events, table: str, zero: float, titles: bool) -> Iterator[ExportRow]:
    columns = events.columns(table)
    names = (*TEXTS[table], TITLE) if titles and table == "element" else TEXTS[table]
    texts = {name: _texts(columns, name) for name in names}
    categories = _texts(columns, "segment_type") if table == "segment" else None
    onsets, durations = (columns["start_time"] - zero) / 1000, columns["duration"] / 1000
    for row, key in enumerate(columns[f"{table}_id"].tolist()):
        category = (categories[row] or table) if categories else table
        told = {name: values[row] for name, values in texts.items()}
        yield ExportRow(table, category, float(onsets[row]), float(durations[row]), key, told)


def _texts(columns: Mapping[str, NDArray[np.generic]], name: str) -> list[str | None]:
    pairs = zip(columns[name].tolist(), columns[name + VALID].tolist(), strict=True)
    return [text if valid else None for text, valid in pairs]
