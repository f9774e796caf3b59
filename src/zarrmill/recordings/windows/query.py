"""Windows that lie in events: "valid windows in the middle half of every task of type X", as a lazy selection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError, UnknownNameError
from zarrmill.recordings.schema import VALID
from zarrmill.recordings.windows.window_reader import DEVICES, Device, find_valid, times_ms

if TYPE_CHECKING:
    import xarray

Table = Literal["task", "element", "segment"]
ROUNDING_MS = 1e-3
"""What times lose as dates: a window that ends with its event is in it."""


class EventTables(Protocol):
    """What is asked of events, as ``open_events`` gives them."""

    def columns(self, table: str) -> Mapping[str, NDArray[Any]]:
        """Return the arrays of a table by name, times in epoch milliseconds with NaN where they are missing."""


def select_windows(
    windows: xarray.Dataset,
    events: EventTables,
    *,
    table: Table = "task",
    where: Mapping[str, Any] | None = None,
    part: tuple[float, float] = (0.0, 1.0),
    valid: Sequence[Device] = DEVICES,
) -> xarray.Dataset:
    """Return the windows that lie wholly within a part of the events of a table, and are valid for some devices.

    ``where`` keeps the rows whose column has a value, or one of several; ``part`` is of each event's length, so that
    (0.25, 0.75) is its middle half. A row without an end holds no window. The selection is lazy, and the coordinate
    ``<table>_row`` tells which row each window is of; a window in two rows comes twice. Raises UnknownNameError for a
    column that the table has not.

    >>> picked = select_windows(windows, events, where={"task_type": "n_back"}, part=(0.25, 0.75))  # doctest: +SKIP
    """
    columns = events.columns(table)
    rows = find_rows(columns, where or {})
    begin, end = columns["start_time"][rows], columns["end_time"][rows]
    index, row = match_windows(times_ms(windows), float(windows.attrs["window_ms"]), begin=begin, end=end, part=part)
    good = find_valid(windows, tuple(valid))[index]
    picked = windows.isel(time=index[good])
    return picked.assign_coords({f"{table}_row": ("time", rows[row[good]])})


def find_rows(columns: Mapping[str, NDArray[Any]], where: Mapping[str, Any]) -> NDArray[np.int64]:
    """Return the rows of a table that have the wanted values.

    >>> find_rows({"kind": np.array(["a", "b", "a"])}, {"kind": "a"}).tolist()
    [0, 2]
    """
    keep = np.ones(len(next(iter(columns.values()), ())), dtype=bool)
    for name, wanted in where.items():
        if name not in columns:
            raise UnknownNameError(f"there is no column {name!r}. There are {', '.join(sorted(columns))}.")
        values = [wanted] if isinstance(wanted, str) or not isinstance(wanted, Iterable) else wanted
        found = np.zeros(len(keep), dtype=bool)
        for value in values:
            found |= _equal(columns[name], value, name)
        # A text that is missing is stored as an empty one.
        keep &= found & columns.get(f"{name}{VALID}", True)
    return np.flatnonzero(keep)


def _equal(column: NDArray[Any], value: Any, name: str) -> NDArray[np.bool_]:
    texts = column.dtype.kind in "UT"
    if isinstance(value, str) != texts:
        kind = "texts" if texts else "numbers"
        raise InvalidInputError(f"column {name} holds {kind}, and {value!r} is none. Give one of its values.")
    return np.asarray(column == value)


def match_windows(
    times: NDArray[np.float64],
    length: float,
    *,
    begin: NDArray[np.float64],
    end: NDArray[np.float64],
    part: tuple[float, float] = (0.0, 1.0),
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return windows and the rows that they lie in, row by row: a search in sorted times, whatever the rows' order.

    >>> window, row = match_windows(np.arange(10) * 210.0, 210.0, begin=np.array([100.0]), end=np.array([900.0]))
    >>> window.tolist(), row.tolist()
    ([1, 2, 3], [0, 0, 0])
    """
    low, high = part
    if not 0 <= low < high <= 1:
        raise InvalidInputError(f"part {part} is no part of an event. Give two fractions, as in (0.25, 0.75).")
    with np.errstate(invalid="ignore"):
        known = end >= begin
    first_ms = np.where(known, begin + low * (end - begin), np.inf)
    last_ms = np.where(known, begin + high * (end - begin), -np.inf)
    first = np.searchsorted(times, first_ms - ROUNDING_MS, side="left")
    stop = np.searchsorted(times, last_ms - length + ROUNDING_MS, side="right")
    counts = np.maximum(stop - first, 0)
    rows = np.repeat(np.arange(len(begin)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return (first[rows] + within).astype(np.int64), rows.astype(np.int64)
