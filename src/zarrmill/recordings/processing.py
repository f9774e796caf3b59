"""From the events of a session to its tables: pure, the same events always give the same rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from zarrmill.recordings.elements import find_elements, read_elements
from zarrmill.recordings.model import EventRow
from zarrmill.recordings.problems import NO_ROW, InputProblem
from zarrmill.recordings.raw_events import RawEvents
from zarrmill.recordings.relations import count_elements, find_element_rows, find_task_rows, report_lost_elements
from zarrmill.recordings.schema import TABLES
from zarrmill.recordings.segments import find_segments, read_segments
from zarrmill.recordings.session_times import SessionTimes
from zarrmill.recordings.settings import DEFAULT_SETTINGS, EventSettings
from zarrmill.recordings.tasks import find_tasks, read_tasks

Columns = Mapping[str, NDArray[Any]]
"""The arrays of a table by name, in the order and of the types that the schema has."""


class EventSource(Protocol):
    """Where events come from: an open recording."""

    @property
    def session_id(self) -> str:
        """Name of the session."""

    @property
    def start_time(self) -> float:
        """Start of the session, epoch milliseconds; NaN where it is missing."""

    @property
    def events(self) -> tuple[EventRow, ...]:
        """All events, in file order per type."""

    @property
    def problems(self) -> tuple[InputProblem, ...]:
        """What was found wrong in the file."""


@dataclass(frozen=True, slots=True)
class ExtractedEvents:
    """What is read of a session before anything is made of it."""

    session_id: str
    """Name of the session."""
    start_time: float
    """Start of the session, epoch milliseconds; NaN where it is missing."""
    events: tuple[EventRow, ...]
    """All events."""
    problems: tuple[InputProblem, ...]
    """What was found wrong in the input."""


@dataclass(frozen=True, slots=True)
class ProcessedEvents:
    """The tables of a session, as they are stored."""

    session_id: str
    """Name of the session."""
    start_time: float
    """Start of the session, epoch milliseconds; NaN where it is missing."""
    end_time: float
    """Time of its last event; NaN where none has one."""
    tables: Mapping[str, Columns]
    """Arrays by table (task, element, segment, event, issue) and column; see ``schema.TABLES``."""
    problems: tuple[InputProblem, ...]
    """What was found in the input, and what was found while the tables were made: the rows of the table of issues."""
    settings: EventSettings
    """Which event types meant what."""

    def rows(self, table: str) -> int:
        """Return the number of rows of a table."""
        return len(next(iter(self.tables[table].values())))

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by table as ``task_count`` and so on, and of problems by code as ``problems.<code>``."""
        rows = {f"{table}_count": self.rows(table) for table in self.tables}
        codes = Counter(problem.code for problem in self.problems)
        return {**rows, **{f"problems.{code}": codes[code] for code in sorted(codes)}}


def extract(recording: EventSource) -> ExtractedEvents:
    """Return the events of an open recording, which may be closed then."""
    return ExtractedEvents(recording.session_id, recording.start_time, tuple(recording.events), recording.problems)


def process(
    events: Sequence[EventRow],
    *,
    session_id: str,
    start_time: float = float("nan"),
    settings: EventSettings = DEFAULT_SETTINGS,
    problems: Sequence[InputProblem] = (),
) -> ProcessedEvents:
    """Return the tables of a session: a row for every start of a task, element or segment, and for every event.

    ``start_time`` is the session's in epoch milliseconds, NaN where it is not known; ``problems`` are those of the
    input, which are stored with what is found here.
    """
    raw = RawEvents.of(events)
    times = SessionTimes.of(events, start_time)
    tables = _make_spans(raw, settings, times)
    tables["event"] = raw.table()
    found = tuple(sorted({*problems, *raw.problems}))
    tables["issue"] = make_issues(found)
    return ProcessedEvents(session_id, start_time, times.end, tables, found, settings)


def make_issues(problems: Sequence[InputProblem]) -> Columns:
    """Return the table of issues."""
    return TABLES["issue"].make(
        code=[problem.code for problem in problems],
        severity=[problem.severity for problem in problems],
        path=[problem.path for problem in problems],
        row=[None if problem.row == NO_ROW else problem.row for problem in problems],
        message=[problem.message for problem in problems],
    )


def _make_spans(raw: RawEvents, settings: EventSettings, times: SessionTimes) -> dict[str, Columns]:
    """Return the tables of tasks, elements and segments with their relations."""
    tasks, elements, segments = find_tasks(raw, settings), find_elements(raw, settings), find_segments(raw, settings)
    raw.problems.extend(times.find_problems(tasks.start_times))
    told = read_elements(raw, elements, times=times)
    task_rows = find_task_rows(told["task_id"], elements, tasks)
    report_lost_elements(raw, told["task_id"], elements, task_rows)
    asked = read_tasks(raw, tasks, settings=settings, times=times)
    element_rows = find_element_rows(segments, elements)
    return {
        "task": TABLES["task"].make(**asked, element_count=count_elements(task_rows, len(tasks.rows))),
        "element": TABLES["element"].make(**told, task_row=task_rows),
        "segment": TABLES["segment"].make(**read_segments(raw, segments, elements=elements, element_rows=element_rows)),
    }
