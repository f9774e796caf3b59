"""Stored columns as people work with them: dates, booleans, whole numbers, and what is missing told apart from values.

In xarray whole numbers and booleans keep their types, and ``<name>_valid`` beside them tells which are there; rows are
-1 where there is none. In pandas they are ``Int32``, ``boolean`` and ``string`` with NA.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.recordings.optional import load
from zarrmill.recordings.schema import MISSING_INTEGER, VALID, Column, Table

if TYPE_CHECKING:
    import pandas
    import xarray

Times = Literal["datetime", "milliseconds"]
"""How times are given: as dates in UTC (nanoseconds), or as float64 epoch milliseconds as they are stored."""
Columns = Mapping[str, NDArray[Any]]
_MOST_MS = 9.2e12
"""Milliseconds beyond which no date of nanoseconds lies: years before 1678 and after 2261."""


def to_datetimes(times: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Return epoch milliseconds as dates, rounded to nanoseconds; NaN and what no date can hold as NaT.

    >>> to_datetimes(np.array([1.5, np.nan])).astype(str).tolist()
    ['1970-01-01T00:00:00.001500000', 'NaT']
    """
    known = np.abs(times) < _MOST_MS
    safe = np.where(known, times, 0.0)
    # Whole milliseconds apart, as a float64 of nanoseconds is off by 256 of them.
    whole = np.floor(safe)
    nanoseconds = whole.astype(np.int64) * 1_000_000 + np.round((safe - whole) * 1e6).astype(np.int64)
    return np.where(known, nanoseconds.astype("datetime64[ns]"), np.datetime64("NaT", "ns"))


def to_xarray(table: Table, columns: Columns, *, times: Times) -> xarray.Dataset:
    """Return a table as a Dataset: flags as booleans, and beside each count and flag which of them are there."""
    xr = load("xarray")
    made: dict[str, Any] = {}
    for column in table.columns:
        for name, values, said, encoding in _restored(column, columns[column.name], times):
            made[name] = xr.Variable((table.dim,), values, said, encoding)
    coordinates = {table.key: made.pop(table.key)} if table.key else {}
    dataset: xarray.Dataset = xr.Dataset(made, coordinates)
    return dataset


def to_pandas(table: Table, columns: Columns, *, times: Times) -> pandas.DataFrame:
    """Return a table as a DataFrame, by its key where it has one."""
    pd = load("pandas")
    made = {
        column.name: _pandas_array(pd, column, columns, times) for column in table.columns if column.kind != "valid"
    }
    frame: pandas.DataFrame = pd.DataFrame(made)
    return frame.set_index(table.key) if table.key else frame


def _restored(column: Column, values: NDArray[Any], times: Times) -> list[tuple[str, NDArray[Any], Any, Any]]:
    """Return name, values, attributes and encoding of a column, and of the one beside it."""
    said, name = dict(column.attributes), column.name
    if column.kind == "time" and times == "datetime":
        del said["units"], said["calendar"]
        return [(name, to_datetimes(values), said, {})]
    if column.kind in ("count", "flag"):
        valid = values != MISSING_INTEGER
        about = {"long_name": f"whether there is a {name}"}
        if column.kind == "count":
            return [(name, values, said, {}), (name + VALID, valid, about, {})]
        return [(name, values == 1, {"long_name": column.about}, {}), (name + VALID, valid, about, {})]
    return [(name, values, said, {})]


def _pandas_array(pd: Any, column: Column, columns: Columns, times: Times) -> Any:
    values = columns[column.name]
    if column.kind == "time" and times == "datetime":
        return pd.DatetimeIndex(to_datetimes(values)).tz_localize("UTC")
    if column.kind in ("count", "row"):
        return pd.arrays.IntegerArray(values.copy(), values == MISSING_INTEGER)
    if column.kind == "flag":
        return pd.arrays.BooleanArray(values == 1, values == MISSING_INTEGER)
    if column.kind == "key":
        return pd.array(values.tolist(), dtype="string")
    if column.kind == "text":
        texts = zip(values.tolist(), columns[column.name + VALID].tolist(), strict=True)
        return pd.array([text if valid else None for text, valid in texts], dtype="string")
    return values
