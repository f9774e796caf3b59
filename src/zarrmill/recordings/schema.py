"""What an event store holds: one schema for every session, zero rows included.

A table is a list of columns. What is missing is NaN in times and numbers, -1 in whole numbers, flags and rows, and the
empty text together with False in the column ``<name>_valid`` that every text column has beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from zarrmill.errors import InvalidInputError

Kind = Literal["key", "time", "number", "count", "flag", "text", "row", "valid"]
"""What a column holds; ``key`` is the coordinate of a table and ``valid`` tells which texts there are."""
TIME_UNITS = "milliseconds since 1970-01-01T00:00:00Z"
"""Units of times, in which raw readers see epoch milliseconds and xarray dates."""
MISSING_INTEGER = -1
"""What whole numbers, flags and rows are where they are missing."""
VALID = "_valid"
"""Ending of the column that tells which texts of another are there."""
DTYPES: Mapping[Kind, str] = {
    "key": "string",
    "time": "float64",
    "number": "float64",
    "count": "int32",
    "flag": "int8",
    "text": "string",
    "row": "int32",
    "valid": "bool",
}
"""Type on disk by what a column holds, by its Zarr v3 name."""


@dataclass(frozen=True, slots=True)
class Column:
    """One array of a table."""

    table: str
    """Name of the table: task, element, segment, event or issue."""
    name: str
    """Name within the table, as in ``start_time``."""
    kind: Kind
    """What it holds."""
    about: str
    """What it means, in a few words."""
    units: str = ""
    """Units of a number: ms, s or 1."""
    refers_to: str = ""
    """Table whose rows a ``row`` counts."""

    @property
    def flat_name(self) -> str:
        """Name in a store without groups: the table's prefix plus the attribute; a key is its own name."""
        return self.name if self.kind == "key" else f"{self.table}_{self.name}"

    @property
    def dtype(self) -> str:
        """Type on disk: float64, int32, int8, bool or string."""
        return DTYPES[self.kind]

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """Type in memory: numpy's own text type of variable length for ``string``."""
        return np.dtypes.StringDType() if self.dtype == "string" else np.dtype(self.dtype)

    @property
    def missing(self) -> float | int | str | bool:
        """Value of what is missing; also what an array holds where nothing is stored."""
        if self.dtype == "float64":
            return float("nan")
        if self.dtype == "string":
            return ""
        return False if self.dtype == "bool" else MISSING_INTEGER

    @property
    def has_fill_value(self) -> bool:
        """Whether readers are told by ``_FillValue`` which value means missing: NaN and False say it themselves."""
        return self.kind in ("count", "flag", "row")

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes in the words of CF."""
        said: dict[str, Any] = {"long_name": self.about}
        if self.kind == "time":
            said |= {"units": TIME_UNITS, "calendar": "proleptic_gregorian"}
        elif self.units:
            said["units"] = self.units
        elif self.kind == "flag":
            said |= {"flag_values": [0, 1], "flag_meanings": "false true"}
        elif self.kind == "row":
            said["refers_to"] = self.refers_to
        return said


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of rows."""

    name: str
    """Prefix of its arrays in a store without groups."""
    group: str
    """Name of its group in a store with groups."""
    dim: str
    """Dimension of its rows."""
    columns: tuple[Column, ...]
    """Its arrays: the key first where it has one, and behind every text which of them are there."""

    @property
    def key(self) -> str | None:
        """Name of the column of unique keys; None for raw events and issues."""
        return self.dim if self.columns[0].kind == "key" else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise InvalidInputError(f"table {self.name} has no column {name!r}. It has {', '.join(self.names)}.")

    def make(self, **columns: Any) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
        """Return the arrays of some rows from sequences of values, in which None is missing.

        Every column is asked for; a text brings the column that tells which are there. Raises InvalidInputError for
        columns that are missing, unknown or of another length.

        >>> made = TABLES["issue"].make(code=["a", None], severity=["", ""], path=["", ""], row=[1, 2], message="ab")
        >>> made["code_valid"]
        array([ True, False])
        """
        asked = [column for column in self.columns if column.kind != "valid"]
        if set(columns) != {column.name for column in asked}:
            odd = sorted(set(columns) ^ {column.name for column in asked})
            raise InvalidInputError(f"table {self.name}: columns missing or unknown: {', '.join(odd)}.")
        if len(lengths := {len(values) for values in columns.values()}) > 1:
            raise InvalidInputError(f"table {self.name}: columns of {sorted(lengths)} rows. Give each the same number.")
        made: dict[str, np.ndarray[Any, np.dtype[Any]]] = {}
        for column in asked:
            made[column.name] = as_array(column, columns[column.name])
            if column.kind == "text":
                made[column.name + VALID] = np.array([value is not None for value in columns[column.name]], dtype=bool)
        return made


def as_array(column: Column, values: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return values as the array of a column; None is missing.

    >>> as_array(TABLES["task"]["count"], [3, None])
    array([ 3, -1], dtype=int32)
    """
    if isinstance(values, np.ndarray) and values.dtype == column.numpy_dtype:
        return values
    missing = column.missing
    return np.array([missing if value is None else value for value in values], dtype=column.numpy_dtype)


def _table(name: str, group: str, *columns: Column) -> Table:
    """Return a table of columns with the one behind each text that tells which are there."""
    whole: list[Column] = []
    for column in columns:
        whole.append(column)
        if column.kind == "text":
            whole.append(Column(name, column.name + VALID, "valid", f"whether there is a {column.name}"))
    return Table(name, group, columns[0].name if columns[0].kind == "key" else name, tuple(whole))


def _span(table: str) -> Iterator[Column]:
    """Yield the columns of everything that has a start and an end."""
    yield Column(table, f"{table}_id", "key", f"unique name of the {table}: its id, with a suffix from the second on")
    yield Column(table, "occurrence", "count", "how often this id has come up so far, from 1; missing without an id")
    yield Column(table, "start_time", "time", f"start of the {table} by the client's clock")
    yield Column(table, "end_time", "time", f"end of the {table} by the client's clock")
    yield Column(table, "duration", "number", f"time from start to end of the {table}", units="ms")
    yield Column(table, "start_event_row", "row", "raw event of the start", refers_to="event")
    yield Column(table, "end_event_row", "row", "raw event of the end", refers_to="event")


_TASK = _table(
    "task",
    "tasks",
    *_span("task"),
    Column("task", "skip_time", "time", "when the task was skipped by the client's clock"),
    Column("task", "session_fraction_start", "number", "part of the session before the start of the task", units="1"),
    Column("task", "session_fraction_end", "number", "part of the session before the end of the task", units="1"),
    Column("task", "count", "count", "number of elements asked for"),
    Column("task", "element_count", "count", "number of elements sent in this task"),
    Column("task", "allow_repeats", "flag", "whether elements may come again"),
    Column("task", "with_interruptions", "flag", "whether there are interruptions"),
    Column("task", "skipped", "flag", "whether the task was skipped"),
    Column("task", "task_type", "text", "type of the task"),
    Column("task", "completion_status", "text", "how the task ended"),
    Column("task", "input_modality", "text", "how replies are given"),
    Column("task", "audio_mode", "text", "how sound is played"),
    Column("task", "skip_event_row", "row", "raw event of the skip", refers_to="event"),
)
_ELEMENT = _table(
    "element",
    "elements",
    *_span("element"),
    Column(
        "element", "session_relative_time", "number", "time from the start of the session to the element", units="ms"
    ),
    Column("element", "response_time_seconds", "number", "time allowed for a reply", units="s"),
    Column(
        "element", "session_fraction", "number", "part of the session that was done, as the sender had it", units="1"
    ),
    Column("element", "sequence_idx", "count", "number of the element within its task, as the sender had it"),
    Column("element", "max_count", "count", "number of elements of its task, as the sender had it"),
    Column("element", "is_instruction", "flag", "whether it is an instruction"),
    Column("element", "with_interruptions", "flag", "whether there are interruptions"),
    Column("element", "element_type", "text", "type of the element"),
    Column("element", "title", "text", "what was shown"),
    Column("element", "task_id", "text", "id of its task, as the sender had it"),
    Column("element", "task_type", "text", "type of its task, as the sender had it"),
    Column("element", "input_modality", "text", "how the reply was given"),
    Column("element", "audio_mode", "text", "how sound is played"),
    Column("element", "task_row", "row", "the task in which it was sent", refers_to="task"),
)
_SEGMENT = _table(
    "segment",
    "segments",
    *_span("segment"),
    Column("segment", "element_relative_start", "number", "time from the start of the element around it", units="ms"),
    Column("segment", "spans_elements", "flag", "whether it ends after the element in which it starts"),
    Column("segment", "segment_type", "text", "type of the segment"),
    Column("segment", "type_index", "text", "type of the segment, by which segments are selected"),
    Column("segment", "containing_element_id", "text", "unique name of the element in which it starts"),
    Column("segment", "start_event_id", "text", "id of the event of the start"),
    Column("segment", "end_event_id", "text", "id of the event of the end"),
    Column("segment", "element_row", "row", "the element in which it starts", refers_to="element"),
)
_EVENT = _table(
    "event",
    "events",
    Column("event", "event_type", "text", "type of the event"),
    Column("event", "event_id", "text", "id of the event"),
    Column("event", "sequence", "count", "sequence number of the event"),
    Column("event", "server_time", "time", "when the event was, by the server's clock"),
    Column("event", "client_time", "time", "when the event was, by the client's clock"),
    Column("event", "payload", "text", "JSON text of the event as it was"),
)
_ISSUE = _table(
    "issue",
    "issues",
    Column("issue", "code", "text", "what kind of problem was found in the input"),
    Column("issue", "severity", "text", "info, warning or error"),
    Column("issue", "path", "text", "where in the input it was found"),
    Column("issue", "row", "count", "row of it; missing for all of the path"),
    Column("issue", "message", "text", "what is wrong and what became of it"),
)
TABLES: Mapping[str, Table] = {table.name: table for table in (_TASK, _ELEMENT, _SEGMENT, _EVENT, _ISSUE)}
"""The tables of an event store by name."""
COMPLETION_STATUS = ("completed", "open", "skipped_before_start", "partially_completed_then_skipped")
"""Values of ``completion_status`` of tasks."""


def all_columns() -> Iterator[tuple[Table, Column]]:
    """Yield every array of an event store with its table, in the order in which they are stored."""
    for table in TABLES.values():
        for column in table.columns:
            yield table, column
