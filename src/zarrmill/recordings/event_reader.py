"""Reading an event store of either layout: tables as xarray or pandas, with relations resolved and nothing invented."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.execute.futures import collect
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.recordings import restore
from zarrmill.recordings.dataset import FORMAT, TRANSFORM, make_attributes
from zarrmill.recordings.optional import load
from zarrmill.recordings.processing import Columns, ProcessedEvents
from zarrmill.recordings.restore import Times
from zarrmill.recordings.schema import MISSING_INTEGER, TABLES, VALID, Column, Table
from zarrmill.recordings.settings import EventSettings
from zarrmill.store import Location, open_store

if TYPE_CHECKING:
    import pandas
    import xarray

PARENTS: Mapping[str, tuple[str, ...]] = {"element": ("task",), "segment": ("element", "task")}
"""Tables to which the rows of another belong, the nearest first."""


class Events:
    """The tables of one session; each is read when it is first asked for."""

    def __init__(
        self, read: Callable[[str], Columns], attributes: Mapping[str, Any], *, times: Times = "datetime"
    ) -> None:
        self.attributes = dict(attributes)
        """Attributes of the store: session_id, version, created_at, source_name …"""
        self._read = read
        self._times: Times = times
        self._columns: dict[str, Columns] = {}

    @classmethod
    def of(cls, processed: ProcessedEvents, *, times: Times = "datetime") -> Events:
        """Return the tables of a session that are not stored."""
        attributes = make_attributes(processed, source=None, created_at=None, layout="flat")
        return cls(processed.tables.__getitem__, attributes, times=times)

    @property
    def tasks(self) -> xarray.Dataset:
        """A row for each start of a task."""
        return self.to_xarray("task")

    @property
    def elements(self) -> xarray.Dataset:
        """A row for each element sent, with ``task_key``, the unique name of its task."""
        return self.to_xarray("element")

    @property
    def segments(self) -> xarray.Dataset:
        """A row for each start of a segment, with ``task_row`` and ``task_key``, the task of its element."""
        return self.to_xarray("segment")

    @property
    def raw(self) -> xarray.Dataset:
        """A row for each event as it was."""
        return self.to_xarray("event")

    @property
    def issues(self) -> xarray.Dataset:
        """A row for each problem of the input."""
        return self.to_xarray("issue")

    @property
    def settings(self) -> EventSettings:
        """Which event types meant what."""
        return EventSettings.from_json(json.loads(self.attributes.get("event_types", "{}")))

    def columns(self, table: str) -> Columns:
        """Return the arrays of a table as they are stored: see ``schema``. Raises SourceFormatError."""
        if table not in self._columns:
            self._columns[table] = self._read(_table(table).name)
        return self._columns[table]

    def to_xarray(self, table: str) -> xarray.Dataset:
        """Return a table (task, element, segment, event, issue) as a Dataset."""
        dataset = restore.to_xarray(_table(table), self.columns(table), times=self._times)
        rows = self._task_rows(table)
        if rows is None:
            return dataset
        keys, valid = self._keys(rows)
        dim = _table(table).dim
        if table == "segment":
            dataset["task_row"] = ((dim,), rows, {"long_name": "the task of its element", "refers_to": "task"})
        dataset["task_key"] = ((dim,), keys, {"long_name": "unique name of its task"})
        dataset["task_key" + VALID] = ((dim,), valid, {"long_name": "whether it belongs to a task"})
        return dataset

    def to_pandas(self, table: str, *, join: bool = False) -> pandas.DataFrame:
        """Return a table as a DataFrame; with ``join`` each row has the columns of what it belongs to.

        Those of its task begin with ``task_``, those of a segment's element with ``element_``; NA where there is none.
        """
        frame = restore.to_pandas(_table(table), self.columns(table), times=self._times)
        rows = self._task_rows(table)
        if rows is not None:
            self._add_task(frame, rows, table)
        for parent in PARENTS.get(table, ()) if join else ():
            found = rows if parent == "task" else self.columns(table)["element_row"]
            above = restore.to_pandas(TABLES[parent], self.columns(parent), times=self._times)
            # The row -1 is in no index, so what belongs to nothing becomes NA.
            matched = above.reset_index(drop=True).reindex(found).add_prefix(f"{parent}_").set_axis(frame.index)
            frame = frame.join(matched)
        return frame

    def _add_task(self, frame: pandas.DataFrame, rows: NDArray[np.int32], table: str) -> None:
        pd = load("pandas")
        keys, valid = self._keys(rows)
        if table == "segment":
            frame["task_row"] = pd.arrays.IntegerArray(rows.copy(), rows == MISSING_INTEGER)
        texts = zip(keys.tolist(), valid.tolist(), strict=True)
        frame["task_key"] = pd.array([key if known else None for key, known in texts], dtype="string")

    def _task_rows(self, table: str) -> NDArray[np.int32] | None:
        """Return the row of each row's task, -1 for none; None for tables that have no tasks."""
        if table == "element":
            return self.columns("element")["task_row"]
        if table == "segment":
            return np.append(self.columns("element")["task_row"], MISSING_INTEGER)[
                self.columns("segment")["element_row"]
            ]
        return None

    def _keys(self, rows: NDArray[np.int32]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the keys of tasks, and which rows have one."""
        keys = self.columns("task")["task_id"].tolist()
        texts = [*keys, ""]
        return np.array([texts[row] for row in rows.tolist()], dtype=np.dtypes.StringDType()), rows != MISSING_INTEGER


def open_events(
    location: Location, *, times: Times = "datetime", storage_options: Mapping[str, Any] | None = None
) -> Events:
    """Return the tables of an event store at a path or URL, or behind something of zarr's, of either layout.

    ``times`` are dates in UTC, or "milliseconds" as they are stored. Raises NotFoundError where there is nothing, and
    SourceFormatError for what is no event store or of a later format.

    >>> events = open_events("processed/event/s-01_events.zarr")  # doctest: +SKIP
    >>> events.to_pandas("element", join=True).query("task_task_type == 'n_back'")  # doctest: +SKIP
    """
    if times not in ("datetime", "milliseconds"):
        raise InvalidInputError(f"times={times!r} is unknown. Give 'datetime' or 'milliseconds'.")
    opened = open_store(location, storage_options=storage_options)
    root = _open_root(opened.for_arrays, opened.location)
    attributes: dict[str, Any] = dict(root.attrs)
    _check(attributes, opened.location)
    return Events(partial(_read_table, root, attributes["layout"], opened.location), attributes, times=times)


def _open_root(store: Any, location: str) -> zarr.Group:
    try:
        # One request where the metadata are consolidated, as they are in what this project writes.
        return zarr.open_group(store, mode="r")
    except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
        raise SourceFormatError(f"{location} is no Zarr group that can be read ({error}).") from error


def _check(attributes: Mapping[str, Any], location: str) -> None:
    if attributes.get("transform") != TRANSFORM or attributes.get("layout") not in ("flat", "tree"):
        raise SourceFormatError(f"{location} is no event store. It was not made by zarrmill recordings events.")
    if not isinstance(found := attributes.get("format"), int) or found > FORMAT:
        raise SourceFormatError(
            f"{location}: events of format {found!r}, this version reads {FORMAT}. Upgrade zarrmill."
        )


def _read_table(root: zarr.Group, layout: str, location: str, table: str) -> Columns:
    found = TABLES[table]
    calls = [partial(_read_column, root, column, _path(found, column, layout), location) for column in found.columns]
    # Several at a time, as each waits for a store.
    columns = dict(zip(found.names, collect(WORKSHOP.requests(), calls), strict=True))
    if len(lengths := {len(values) for values in columns.values()}) > 1:
        raise SourceFormatError(
            f"{location}: table {table} has columns of {sorted(lengths)} rows. Make the store again."
        )
    return columns


def _read_column(root: zarr.Group, column: Column, path: str, location: str) -> NDArray[Any]:
    array = root.get(path)
    if not isinstance(array, zarr.Array):
        raise SourceFormatError(f"{location} has no array {path}. Make the store again.")
    if array.dtype != column.numpy_dtype:
        raise SourceFormatError(f"{location}/{path} is {array.dtype}, not {column.dtype}. Make the store again.")
    return np.asarray(array[:])


def _path(table: Table, column: Column, layout: str) -> str:
    return column.flat_name if layout == "flat" else f"{table.group}/{column.name}"


def _table(name: str) -> Table:
    if name not in TABLES:
        raise InvalidInputError(f"table {name!r} is unknown. Known are {', '.join(TABLES)}.")
    return TABLES[name]
