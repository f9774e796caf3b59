"""Proof that an event store holds what its source says: made again from the source, every row and type compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import SourceFormatError
from zarrmill.recordings.event_reader import Events, open_events
from zarrmill.recordings.processing import ProcessedEvents, extract, process
from zarrmill.recordings.recording import open_recording
from zarrmill.recordings.schema import TABLES, Column, Table
from zarrmill.recordings.settings import EventSettings
from zarrmill.store import Location

Clean = Callable[[str], str]
Kind = Literal["source", "table", "rows", "values", "attribute"]
"""What differs: the file itself, a table that cannot be read, the number of rows, values of a column, an attribute."""


@dataclass(frozen=True, slots=True)
class EventDifference:
    """One way in which a store is not what its source says."""

    kind: Kind
    """What differs."""
    table: str
    """Table; empty for the store."""
    column: str
    """Column or attribute; empty for the table."""
    row: int
    """First row that differs, -1 for none."""
    message: str
    """Both sides in one line, without texts of the rows: these may be personal."""


@dataclass(frozen=True, slots=True)
class VerifyEventsReport:
    """What was compared and what differs."""

    rows: Mapping[str, int]
    """Rows compared by table."""
    columns: int
    """Columns compared."""
    differences: tuple[EventDifference, ...]
    """What differs; none if the store is what the source says."""

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "ok": self.ok,
            "rows": dict(self.rows),
            "columns": self.columns,
            "differences": [asdict(difference) for difference in self.differences],
        }


def verify_events(
    source: str | os.PathLike[str],
    store: Location,
    *,
    settings: EventSettings | None = None,
    clean: Clean | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> VerifyEventsReport:
    """Make the tables of a curated file again and compare every row and type of an event store with them.

    ``settings`` are those that the store was made with, unless others are given; ``clean`` replaces the session's id in
    texts as the run did that made the store. Raises NotFoundError and SourceFormatError where one cannot be read.
    """
    events = open_events(store, storage_options=storage_options)
    with open_recording(source, storage_options=storage_options) as recording:
        found, facts = extract(recording), recording.source
    expected = process(
        found.events,
        session_id=found.session_id,
        start_time=found.start_time,
        settings=settings or events.settings,
        problems=found.problems,
    )
    told = events.attributes.get("source_sha256")
    changed = [] if told in (None, facts.sha256) else [_changed(told, facts.sha256)]
    report = compare_events(expected, events, clean=clean)
    return VerifyEventsReport(report.rows, report.columns, (*changed, *report.differences))


def compare_events(expected: ProcessedEvents, events: Events, *, clean: Clean | None = None) -> VerifyEventsReport:
    """Compare the tables of a store with those that it should hold."""
    differences = list(_compare_attributes(expected, events.attributes, clean or str))
    for table in TABLES.values():
        differences += _compare_table(table, expected, events, clean)
    rows = {name: expected.rows(name) for name in TABLES}
    return VerifyEventsReport(rows, sum(len(table.columns) for table in TABLES.values()), tuple(differences))


def _changed(told: object, found: str) -> EventDifference:
    return EventDifference("source", "", "source_sha256", -1, f"made from a file of sha256 {told}, this has {found}")


def _compare_attributes(
    expected: ProcessedEvents, attributes: Mapping[str, Any], clean: Clean
) -> Iterator[EventDifference]:
    session_id = attributes.get("session_id")
    if session_id != clean(expected.session_id):
        yield EventDifference("attribute", "", "session_id", -1, "the store is of another session")
    for name, time in (("session_start_time", expected.start_time), ("session_end_time", expected.end_time)):
        told = attributes.get(name, float("nan"))
        if told != time and not (told != told and time != time):
            yield EventDifference("attribute", "", name, -1, f"{told} in the store, {time} from the source")


def _compare_table(
    table: Table, expected: ProcessedEvents, events: Events, clean: Clean | None
) -> Iterator[EventDifference]:
    try:
        stored = events.columns(table.name)
    except SourceFormatError as error:
        yield EventDifference("table", table.name, "", -1, str(error))
        return
    rows, wanted = len(stored[table.names[0]]), expected.rows(table.name)
    if rows != wanted:
        yield EventDifference("rows", table.name, "", -1, f"{rows} rows in the store, {wanted} from the source")
        return
    for column in table.columns:
        values = _cleaned(column, expected.tables[table.name][column.name], clean)
        yield from _compare_column(column, stored[column.name], values)


def _cleaned(column: Column, values: NDArray[Any], clean: Clean | None) -> NDArray[Any]:
    if clean is None or column.dtype != "string":
        return values
    return np.array([clean(text) for text in values.tolist()], dtype=values.dtype)


def _compare_column(column: Column, stored: NDArray[Any], expected: NDArray[Any]) -> Iterator[EventDifference]:
    different = find_different(stored, expected)
    if len(different) == 0:
        return
    row = int(different[0])
    shown = "other text" if column.dtype == "string" else f"{stored[row]} in the store, {expected[row]} from the source"
    message = f"{len(different)} of {len(stored)} rows differ, the first is row {row}: {shown}"
    yield EventDifference("values", column.table, column.name, row, message)


def find_different(first: NDArray[Any], second: NDArray[Any]) -> Sequence[int]:
    """Return the rows in which two columns of one length differ; NaN is the same as NaN.

    >>> find_different(np.array([1.0, np.nan, 3]), np.array([1.0, np.nan, 4]))
    [2]
    """
    same = first == second
    if first.dtype.kind == "f":
        same |= np.isnan(first) & np.isnan(second)
    return [int(row) for row in np.flatnonzero(~same)]
