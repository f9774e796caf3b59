"""The same tables as structured arrays in nested groups of an HDF5 file: what the event transform did before."""

from __future__ import annotations

import io
from pathlib import Path

import h5py
import numpy as np

from zarrmill.recordings.processing import ProcessedEvents
from zarrmill.recordings.schema import TABLES

GROUPS = ("task", "element", "segment")
"""Tables that the file has; raw events and issues were not kept."""


def write_original(processed: ProcessedEvents, path: Path) -> None:
    """Write each table as one structured array in a group of its own, segments by their type."""
    with h5py.File(path, "w") as file:
        for name in GROUPS:
            columns = processed.tables[name]
            group = file.create_group(f"{name}s")
            for part, rows in _parts(name, columns):
                group.create_dataset(part, data=_structured(columns, rows))


def _parts(name, columns):
    """Yield name and rows of each structured array."""
    rows = np.arange(len(next(iter(columns.values()))))
    if name != "segment":
        yield "data", rows
        return
    kinds = np.array(columns["segment_type"].tolist(), dtype=object)
    for kind in sorted(set(kinds.tolist())):
        yield kind or "none", rows[kinds == kind]


def _structured(columns, rows):
    text = h5py.string_dtype()
    kept = {column: values for column, values in columns.items() if not column.endswith("_valid")}
    types = [(name, text if values.dtype.kind == "T" else values.dtype) for name, values in kept.items()]
    made = np.empty(len(rows), dtype=types)
    for name, values in kept.items():
        made[name] = values[rows].astype(object) if values.dtype.kind == "T" else values[rows]
    return made


def read_original(file, table: str):
    """Return one table of an open file."""
    group = file[f"{table}s"]
    return {name: group[name][:] for name in group}


class RangeReader(io.RawIOBase):
    """A file of an object store as h5py reads it: each read is a request of its own, and they are counted."""

    def __init__(self, keys, key: str) -> None:
        self._keys, self._key = keys, key
        self._size = keys.head(key).nbytes
        self._at = 0
        self.requests = 1
        self.nbytes = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted <= 0:
            return 0
        data = self._keys.get_range(self._key, self._at, wanted)
        buffer[: len(data)] = data
        self.requests += 1
        self.nbytes += len(data)
        self._at += len(data)
        return len(data)


COLUMNS = sum(len(TABLES[name].columns) for name in GROUPS)
"""Arrays of the same tables in a store."""
