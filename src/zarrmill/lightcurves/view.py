"""A store as its readers see it: a snapshot that is renewed when it is old, and what hangs on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves.catalogue import DEC, RA, ObjectTable
from zarrmill.lightcurves.curve_reader import Arrays, CurveReader
from zarrmill.lightcurves.epoch_groups import is_by_index
from zarrmill.lightcurves.epoch_table import load_table
from zarrmill.lightcurves.key_index import FindObjects, RangeKeys, SortedKeys
from zarrmill.lightcurves.record import Record
from zarrmill.lightcurves.schema import Field, Schema
from zarrmill.lightcurves.sky import PositionIndex
from zarrmill.lightcurves.snapshot import Snapshot, folded_name, take_snapshot

Folded = tuple[int, str]
"""Position of an epoch that is folded, and digest of its content."""
FRESH_SECONDS = {"local": 1.0, "remote": 10.0}
"""Age up to which a snapshot is believed: what other processes add is seen no later than that."""
INDEX = "key_index"
"""Folder of the key indices, one for each time that objects were added."""


class View:
    """What can be read, never older than ``fresh`` seconds; any number of threads may use it at once."""

    def __init__(self, keys: KeySpace, schema: Schema) -> None:
        self.keys = keys
        self.schema = schema
        self.fresh = FRESH_SECONDS["local" if isinstance(keys, LocalKeys) else "remote"]
        self._lock = threading.Lock()
        self._reader = CurveReader(keys, schema)
        self._taken: tuple[Snapshot | None, float] = None, 0.0
        self._index: tuple[int, FindObjects] | None = None
        self._folded: tuple[int, dict[str, Folded]] | None = None
        self._objects: ObjectTable | None = None
        self._places: tuple[ObjectTable, PositionIndex] | None = None
        self.target: tuple[ObjectTable, Any] | None = None
        """What rows of tables are matched with, for the objects that it was made of."""

    def snapshot(self) -> Snapshot:
        """Return what can be read, taken anew where it is old."""
        return self._current()[0]

    def refresh(self) -> Snapshot:
        """Return what can be read now."""
        return self._take()[0]

    def forget(self) -> None:
        """Have the next read look anew: something was changed here."""
        self._taken = None, 0.0

    def _current(self) -> tuple[Snapshot, float]:
        found, taken = self._taken
        if found is None or time.monotonic() - taken > self.fresh:
            return self._take()
        return found, taken

    def _take(self) -> tuple[Snapshot, float]:
        with self._lock:
            begun = time.monotonic()
            made = take_snapshot(self.keys, self.schema), begun
            self._taken = made
            return made

    def objects(self) -> ObjectTable:
        """Return the table of the objects."""
        count = self.snapshot().record.n_objects
        if self._objects is None or self._objects.n_objects != count:
            self._objects = ObjectTable(self.keys, count=count)
        return self._objects

    def places(self) -> PositionIndex:
        """Return what finds objects by position. Raises InvalidInputError where the store has no positions."""
        objects = self.objects()
        if RA not in objects:
            raise InvalidInputError(f"{self.keys.location} has no positions. Create it with ra and dec.")
        if self._places is None or self._places[0] is not objects:
            self._places = objects, PositionIndex.build(objects[RA], objects[DEC])
        return self._places[1]

    def place_of(self, position: int) -> tuple[float, float]:
        """Return where one object is on the sky, in degrees; NaN where the store does not know."""
        objects = self.objects()
        if RA not in objects:
            return float("nan"), float("nan")
        return float(objects.value(RA, position)), float(objects.value(DEC, position))

    def index(self, record: Record | None = None) -> FindObjects:
        """Return what finds objects by key, those that a record tells of or else those that can be read."""
        record = record or self.snapshot().record
        if self._index is None or self._index[0] != record.generation:
            self._index = record.generation, self._open_index(record.index, record.n_objects)
        return self._index[1]

    def folded(self, record: Record) -> Mapping[str, Folded]:
        """Return the position and the digest of the content of each epoch that a record tells of, by name."""
        if self._folded is None or self._folded[0] != record.generation:
            positions, by_index = np.flatnonzero(record.mask()).tolist(), is_by_index(self.keys)
            table = load_table(self.keys, length=record.n_epochs if positions else 0, with_keys=not by_index)
            digests = table.digest.tolist()
            self._folded = (
                record.generation,
                {folded_name(i, table, by_index): (i, f"{digests[i]:016x}") for i in positions},
            )
        return self._folded[1]

    def _open_index(self, number: int, count: int) -> FindObjects:
        if self.schema.key_kind == "range":
            return RangeKeys(count)
        return SortedKeys.open(self.keys, index_path(number), count=count)

    def read(self, position: int, fields: Sequence[Field]) -> tuple[Snapshot, Arrays]:
        """Return the arrays of one object, and the snapshot that tells what their rows are."""
        return self._read(lambda snapshot: self._reader.read(snapshot, position, fields))

    def read_some(self, positions: NDArray[np.int64], fields: Sequence[Field]) -> tuple[Snapshot, Arrays]:
        """Return the arrays of many objects."""
        return self._read(lambda snapshot: self._reader.read_some(snapshot, positions, fields))

    def read_range(self, start: int, stop: int, fields: Sequence[Field]) -> tuple[Snapshot, Arrays]:
        """Return the arrays of objects that follow each other, shard by shard."""
        return self._read(lambda snapshot: self._reader.read_range(snapshot, start, stop, fields))

    def _read(self, read: Callable[[Snapshot], Arrays]) -> tuple[Snapshot, Arrays]:
        """Read at a snapshot; again at a new one where that failed, or where a read took longer than one is believed.

        An epoch that was folded and pruned meanwhile is gone where the snapshot has it, and a damaged chunk may be
        what a replaced shard looks like. An epoch that was taken back is written over only when no snapshot that has
        it folded is believed any more, so that a read within that time is of one piece.
        """
        snapshot, taken = self._current()
        try:
            found = read(snapshot)
        except (SourceFormatError, NotFoundError):
            self._reader = CurveReader(self.keys, self.schema)
            snapshot = self.refresh()
            return snapshot, read(snapshot)
        if time.monotonic() - taken > self.fresh:
            now = self.refresh()
            if now.record.taken_back != snapshot.record.taken_back:
                return now, read(now)
        return snapshot, found


def index_path(number: int) -> str:
    """Return the path of a key index."""
    return f"{INDEX}/{number:06d}"
