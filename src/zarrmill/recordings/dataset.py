"""The tables of a session as one xarray Dataset, or as a DataTree with a group for each table.

Both hold the arrays as they are stored: times and numbers as float64 with NaN; whole numbers, flags and rows as int32
and int8 in which -1 is missing (``encoding["_FillValue"]`` says so); texts as numpy's variable-length ``StringDType``
(``string`` of Zarr v3) with a boolean ``<name>_valid`` beside them. There are no object arrays and no extension arrays,
whose types xarray would change without a word. Keys (``task_id`` …) are coordinates without an index in memory, because
an index of pandas has a text type of its own; ``open_events`` and xarray make one when they read.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import isnan
from typing import TYPE_CHECKING, Any

from zarrmill.recordings.model import SourceFacts
from zarrmill.recordings.optional import load
from zarrmill.recordings.processing import ProcessedEvents
from zarrmill.recordings.schema import MISSING_INTEGER, TABLES, Column, Table
from zarrmill.version import __version__

if TYPE_CHECKING:
    import xarray

CONVENTIONS = "CF-1.11"
"""Conventions that units, flags and missing values follow."""
TRANSFORM = "event"
"""Name of the transform in the attributes of a store."""
FORMAT = 1
"""Version of what an event store holds; a reader refuses a later one."""


def create_dataset(
    processed: ProcessedEvents, *, source: SourceFacts | None = None, created_at: datetime | None = None
) -> xarray.Dataset:
    """Return one Dataset with all tables, in which a name is the table's prefix plus the attribute.

    The variables, their types and dimensions are the same for every session, only the lengths differ. ``source`` says
    which file it was, and ``created_at`` when it was made: now, unless it is given.
    """
    xr = load("xarray")
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {}
    for table in TABLES.values():
        for column in table.columns:
            kind = coordinates if column.kind == "key" else variables
            kind[column.flat_name] = _variable(processed, table, column)
    attributes = make_attributes(processed, source=source, created_at=created_at, layout="flat")
    dataset: xarray.Dataset = xr.Dataset(variables, xr.Coordinates(coordinates, indexes={}), attributes)
    return dataset


def create_tree(
    processed: ProcessedEvents, *, source: SourceFacts | None = None, created_at: datetime | None = None
) -> xarray.DataTree:
    """Return the same values in groups: tasks, elements, segments, events and issues, whose names have no prefix."""
    xr = load("xarray")
    attributes = make_attributes(processed, source=source, created_at=created_at, layout="tree")
    groups = {"/": xr.Dataset(attrs=attributes)}
    for table in TABLES.values():
        made = {column.name: _variable(processed, table, column) for column in table.columns}
        coordinates = {table.key: made.pop(table.key)} if table.key else {}
        groups[table.group] = xr.Dataset(made, xr.Coordinates(coordinates, indexes={}))
    tree: xarray.DataTree = xr.DataTree.from_dict(groups)
    return tree


def make_attributes(
    processed: ProcessedEvents, *, source: SourceFacts | None, created_at: datetime | None, layout: str
) -> dict[str, Any]:
    """Return the attributes of a store: which session, from which file, made when; what is not known is absent."""
    made = (created_at or datetime.now(UTC)).astimezone(UTC)
    attributes: dict[str, Any] = {
        "Conventions": CONVENTIONS,
        "session_id": processed.session_id,
        "transform": TRANSFORM,
        "format": FORMAT,
        "layout": layout,
        "version": __version__,
        "created_at": made.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "event_types": json.dumps(processed.settings.to_json()),
    }
    times = {"session_start_time": processed.start_time, "session_end_time": processed.end_time}
    attributes |= {name: time for name, time in times.items() if not isnan(time)}
    if source is not None:
        facts = {"source_name": source.name, "source_size": source.nbytes, "source_sha256": source.sha256}
        attributes |= facts
    return attributes


def _variable(processed: ProcessedEvents, table: Table, column: Column) -> Any:
    encoding = {"_FillValue": MISSING_INTEGER} if column.has_fill_value else {}
    values = processed.tables[table.name][column.name]
    return load("xarray").Variable((table.dim,), values, column.attributes, encoding)
