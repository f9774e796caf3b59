"""The fields of structured arrays of old event files as the columns of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.payloads import MOST
from zarrmill.recordings.problems import NO_ROW
from zarrmill.recordings.schema import Column, Kind, Table
from zarrmill.recordings.texts import decode, escape

MADE_AGAIN = {"valid", "row"}
"""Kinds of columns that old files do not have, or whose values depend on the order of rows."""
DERIVED = {
    "duration", "occurrence", "element_count", "session_fraction_start", "session_fraction_end",
    "session_relative_time", "element_relative_start", "spans_elements",
}  # fmt: skip
"""Columns that are made again from the others, because what old files hold of them was often wrong."""
ALIASES = {
    "segment": {"element_id": "containing_element_id", "type": "segment_type", "id": "segment_id"},
    "task": {"id": "task_id", "type": "task_type"},
    "element": {"id": "element_id", "type": "element_type", "sequence_index": "sequence_idx"},
}
"""Other names of fields by table."""
Finding = tuple[str, str, int, str]
"""Code, path, row and message of a problem."""


@dataclass(slots=True)
class Fields:
    """What the arrays of one table hold, row by row; None is missing."""

    table: Table
    """The table."""
    found: dict[str, list[Any]]
    """Values by column, in the order of the file."""
    places: list[tuple[str, int]]
    """Path and row of each row."""
    findings: list[Finding] = field(default_factory=list)
    """What is odd."""
    order: list[int] | None = None
    """Rows in the order in which they are stored; None for that of the file."""

    @classmethod
    def join(cls, table: Table, parts: Sequence[Fields]) -> Fields:
        """Return the rows of several arrays one after the other; what one of them lacks is missing in its rows."""
        names = [column.name for column in _asked(table)]
        found = {name: [v for part in parts for v in part.found.get(name, [None] * len(part.places))] for name in names}
        places = [place for part in parts for place in part.places]
        return cls(table, found, places, [finding for part in parts for finding in part.findings])

    def values(self, name: str) -> list[Any]:
        """Return a column in order."""
        values = self.found[name]
        return values if self.order is None else [values[row] for row in self.order]

    def floats(self, name: str) -> NDArray[np.float64]:
        """Return a column of times in the order of the file, NaN where they are missing."""
        return np.array([np.nan if value is None else value for value in self.found[name]], dtype=np.float64)

    def columns(self) -> dict[str, Any]:
        """Return every column in order, rows of relations as missing."""
        rows = {column.name: [None] * len(self.places) for column in self.table.columns if column.kind == "row"}
        return {**{name: self.values(name) for name in self.found}, **rows}


def read_fields(table: Table, array: NDArray[Any], *, path: str, segment_type: str | None) -> Fields:
    """Return the fields of one structured array; those that no column holds, and doubtful zeros, are told."""
    flat = array.reshape(-1)
    columns = {column.name: column for column in _asked(table)}
    found: dict[str, list[Any]] = {}
    findings: list[Finding] = []
    zeros: list[str] = []
    for name in flat.dtype.names or ():
        column = columns.get(_column_name(table, name, set(columns)))
        if column is None or flat.dtype[name].shape:
            findings.append(("unknown_field", path, NO_ROW, f"field {escape(name)} has no column: left out"))
            continue
        values = [_READERS[column.kind](value) for value in flat[name].tolist()]
        found[column.name] = values
        if column.kind in ("count", "flag", "number") and column.name not in DERIVED and 0 in values:
            zeros.append(column.name)
    if zeros:
        message = f"0 may stand for missing in {', '.join(sorted(zeros))}: kept"
        findings.append(("ambiguous_zero", path, NO_ROW, message))
    if segment_type is not None:
        found["segment_type"] = [escape(segment_type)] * len(flat)
    return Fields(table, found, [(path, row) for row in range(len(flat))], findings)


def _asked(table: Table) -> list[Column]:
    return [column for column in table.columns if column.kind not in MADE_AGAIN]


def _column_name(table: Table, name: str, known: set[str]) -> str:
    """Return the column that a field means, which may have the prefix of its table."""
    bare = name.removeprefix(f"{table.name}_")
    for candidate in (name, ALIASES[table.name].get(name, name), bare):
        if candidate in known:
            return candidate
    return name


def _read_text(value: Any) -> str | None:
    text = decode(value)[0] if isinstance(value, bytes) else escape(str(value))
    return text or None


def _read_number(value: Any) -> float | None:
    number = _as_float(value)
    return number if number is not None and isfinite(number) else None


def _read_time(value: Any) -> float | None:
    # 0 is 1970, which the HDF5 version wrote for what was missing.
    return _read_number(value) or None


def _read_count(value: Any) -> int | None:
    number = _read_number(value)
    return int(number) if number is not None and number == number // 1 and 0 <= number <= MOST else None


def _read_flag(value: Any) -> bool | None:
    number = _read_number(value)
    return bool(number) if number in (0, 1) else None


def _as_float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


_READERS: dict[Kind, Callable[[Any], Any]] = {
    "key": _read_text,
    "text": _read_text,
    "time": _read_time,
    "number": _read_number,
    "count": _read_count,
    "flag": _read_flag,
}
