"""Event files that the HDF5 version wrote, brought into the schema of event stores.

Such a file has the structured arrays ``tasks``, ``elements`` and ``segments/<type>``, each a dataset of its own or the
dataset ``data`` of a group, and groups of indices, which are not needed. What those files hold of durations, fractions
and relations was often wrong and is made again. They have no raw events, and cannot tell what is missing from 0, False
and '': empty texts and times of 0 become missing, other zeros are kept and reported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, isnan, nan
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import SourceFormatError
from zarrmill.recordings.event_codes import severity_of
from zarrmill.recordings.hdf5 import Hdf5File
from zarrmill.recordings.imported_values import Fields, read_fields
from zarrmill.recordings.local_copy import fetch
from zarrmill.recordings.model import SourceFacts
from zarrmill.recordings.occurrences import number_occurrences
from zarrmill.recordings.pairs import UNPAIRED
from zarrmill.recordings.problems import NO_ROW, InputProblem
from zarrmill.recordings.processing import Columns, ProcessedEvents, make_issues
from zarrmill.recordings.raw_events import RawEvents
from zarrmill.recordings.relations import count_elements, find_element_rows, find_task_rows
from zarrmill.recordings.schema import TABLES
from zarrmill.recordings.segments import place_segments
from zarrmill.recordings.session_times import SessionTimes
from zarrmill.recordings.settings import DEFAULT_SETTINGS, EventPair
from zarrmill.recordings.skips import skip_status
from zarrmill.recordings.spans import Span, Spans
from zarrmill.recordings.start_time import recognise_start_time
from zarrmill.recordings.texts import escape

GROUPS = {"task": "tasks", "element": "elements", "segment": "segments"}
"""Where the tables are."""
SUFFIX = "_events"
"""End of the names of such files, which is no part of the session's id."""
_DATA = "data"


@dataclass(frozen=True, slots=True)
class ImportedEvents:
    """The tables of an old event file."""

    processed: ProcessedEvents
    """The tables, without raw events."""
    source: SourceFacts
    """Which file it was."""

    @property
    def file_id(self) -> str:
        """Id of the session by the name of the file, which the file itself may tell otherwise."""
        return _id_in(self.source.name)


def import_event_file(
    location: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None
) -> ImportedEvents:
    """Return the tables of an event file of the HDF5 version at a path or URL.

    Raises NotFoundError where there is nothing, and SourceFormatError for what is no such file.
    """
    copy = fetch(location, storage_options=storage_options)
    try:
        with Hdf5File(copy.path, shown=copy.location) as file:
            if not set(file.names()) & set(GROUPS.values()):
                wanted = ", ".join(GROUPS.values())
                raise SourceFormatError(f"{copy.location} is no event file: it has none of {wanted}.")
            return ImportedEvents(_import(file, _id_in(copy.name)), copy.facts)
    finally:
        copy.remove()


def _id_in(name: str) -> str:
    return escape(PurePosixPath(name).name.removesuffix(".h5").removesuffix(SUFFIX))


def _import(file: Hdf5File, name: str) -> ProcessedEvents:
    problems: list[InputProblem] = []
    fields = {table: _read_table(file, table, problems) for table in GROUPS}
    tasks, elements, segments = (_make_spans(table, fields[table], problems) for table in GROUPS)
    attributes = {**file.attributes("metadata"), **file.attributes("")}
    started = recognise_start_time(attributes.get("session_start_time", attributes.get("start_time")))
    times = SessionTimes(started[0] if started else nan, _latest(tasks, elements, segments))
    problems += times.find_problems(tasks.start_times)
    tables: dict[str, Columns] = {
        **_make_tables(fields, tasks=tasks, elements=elements, segments=segments, times=times),
        "event": RawEvents.of([]).table(),
    }
    found = tuple(sorted(set(problems)))
    tables["issue"] = make_issues(found)
    told = attributes.get("session_id")
    session_id = told if isinstance(told, str) and told else name
    return ProcessedEvents(session_id, times.start, times.end, tables, found, DEFAULT_SETTINGS)


def _read_table(file: Hdf5File, table: str, problems: list[InputProblem]) -> Fields:
    """Return the fields of a table, of all types of segments one after the other."""
    parts = []
    for path, segment_type in _find_arrays(file, table):
        array = file.dataset(path).read()
        parts.append(read_fields(TABLES[table], array, path=path, segment_type=segment_type))
    whole = Fields.join(TABLES[table], parts)
    for code, path, row, message in whole.findings:
        problems.append(InputProblem(path, row, code, severity_of(code), message))
    if not parts:
        message = f"there is no structured array of {GROUPS[table]}: zero rows"
        problems.append(InputProblem(GROUPS[table], NO_ROW, "no_table", severity_of("no_table"), message))
    return whole


def _find_arrays(file: Hdf5File, table: str) -> Iterator[tuple[str, str | None]]:
    """Yield the paths of the structured arrays of a table, with the type of segments that each holds."""
    root = GROUPS[table]
    candidates = [root, f"{root}/{_DATA}"]
    if table == "segment":
        names = [f"{root}/{name}" for name in file.names(root) if name != _DATA]
        candidates += [path for name in names for path in (name, f"{name}/{_DATA}")]
    for path in candidates:
        if file.kind(path) == "dataset" and file.dataset(path).dtype.names is not None:
            parts = path.split("/")
            yield path, parts[1] if len(parts) > 1 and parts[1] != _DATA else None


def _make_spans(table: str, fields: Fields, problems: list[InputProblem]) -> Spans:
    """Return the rows of a table in time; an end before its start is none."""
    starts, ends = fields.floats("start_time"), fields.floats("end_time")
    for row in np.flatnonzero(ends < starts).tolist():
        message = "an end before its start: missing"
        path, number = fields.places[row]
        problems.append(InputProblem(path, number, "end_before_start", severity_of("end_before_start"), message))
    ends = np.where(ends < starts, nan, ends)
    order = np.lexsort((np.where(np.isnan(starts), 0, starts), np.isnan(starts)))
    fields.order = order.tolist()
    types = fields.values("segment_type") if table == "segment" else [table] * len(order)
    ids = fields.values(f"{table}_id")
    if table == "segment":
        ids = [
            start if name is None else name for name, start in zip(ids, fields.values("start_event_id"), strict=True)
        ]
    rows = tuple(
        Span(EventPair(kind or "unknown", "", ""), name, UNPAIRED, UNPAIRED)
        for kind, name in zip(types, ids, strict=True)
    )
    return Spans(table, rows, starts[order], ends[order], number_occurrences(ids, table=table))


def _latest(*spans: Spans) -> float:
    times: NDArray[np.float64] = np.concatenate([times for s in spans for times in (s.start_times, s.end_times)])
    known = times[np.isfinite(times)]
    return float(known.max()) if len(known) else nan


def _make_tables(
    fields: Mapping[str, Fields], *, tasks: Spans, elements: Spans, segments: Spans, times: SessionTimes
) -> dict[str, Columns]:
    """Return the tables of tasks, elements and segments, with what is made again."""
    told, asked, placed = fields["element"].columns(), fields["task"].columns(), fields["segment"].columns()
    task_rows = find_task_rows(told["task_id"], elements, tasks)
    skips = [nan if time is None else time for time in asked["skip_time"]]
    asked |= {
        **tasks.columns(),
        "session_fraction_start": times.fraction(tasks.start_times),
        "session_fraction_end": times.fraction(tasks.end_times),
        "element_count": count_elements(task_rows, len(tasks.rows)),
        "completion_status": _statuses(asked["completion_status"], tasks, skips),
    }
    told |= {
        **elements.columns(),
        "session_relative_time": times.relative(elements.start_times),
        "task_row": task_rows,
    }
    element_rows = find_element_rows(segments, elements)
    placed |= place_segments(segments, elements=elements, element_rows=element_rows)
    return {
        "task": TABLES["task"].make(**asked),
        "element": TABLES["element"].make(**told),
        "segment": TABLES["segment"].make(**placed),
    }


def _statuses(told: list[str | None], tasks: Spans, skips: list[float]) -> list[str | None]:
    """Return how tasks ended: as the file has it, else as the times tell."""
    starts, ends = tasks.start_times.tolist(), tasks.end_times.tolist()
    return [
        status or (skip_status(start, skip) if isfinite(skip) else "open" if isnan(end) else "completed")
        for status, start, end, skip in zip(told, starts, ends, skips, strict=True)
    ]
