"""Light curves as arrays: the object layout, overlaid by the epochs that are not folded yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.cube import CubeArray
from zarrmill.lightcurves.parallel import gather, request_pool
from zarrmill.lightcurves.pending import PendingEpochs
from zarrmill.lightcurves.schema import Field, Schema
from zarrmill.lightcurves.snapshot import BlockPart, Snapshot

Arrays = dict[str, NDArray[Any]]
"""Values by name of the array."""


class CurveReader:
    """Reads arrays of light curves at a snapshot; any number of threads may use it at once."""

    def __init__(self, keys: KeySpace, schema: Schema) -> None:
        self._keys = keys
        self._schema = schema
        self._cubes = {field.name: CubeArray(keys, schema, field) for field in schema.fields}
        self._pending = PendingEpochs(keys, schema)

    def read(self, snapshot: Snapshot, position: int, fields: Sequence[Field]) -> Arrays:
        """Return the arrays (row, measurement), or (row,), of one object."""
        out = {field.name: self._empty(field, (snapshot.n_rows,)) for field in fields}
        calls = self._calls(snapshot, position, fields, out)
        for _ in gather(request_pool(self._keys), calls):
            pass
        return out

    def _calls(
        self, snapshot: Snapshot, position: int, fields: Sequence[Field], out: Arrays
    ) -> Iterator[Callable[[], None]]:
        for field in fields:
            for part in snapshot.blocks:
                yield partial(self._cubes[field.name].read, part, position, out[field.name])
            for row, epoch in snapshot.pending:
                yield partial(self._overlay, out[field.name], row, epoch, field, position)

    def _overlay(self, out: NDArray[Any], row: int, epoch: Any, field: Field, position: int) -> None:
        out[row] = self._pending.read(epoch, field, position)

    def read_some(self, snapshot: Snapshot, positions: NDArray[np.int64], fields: Sequence[Field]) -> Arrays:
        """Return the arrays (object, row, measurement), or (object, row), of many objects."""
        out = {field.name: self._empty_by_row(field, len(positions), snapshot.n_rows) for field in fields}
        for field in fields:
            for part in snapshot.blocks:
                self._cubes[field.name].read_some(part, positions, out[field.name])
            self._overlay_some(snapshot, positions, field, out[field.name])
        return out

    def read_range(self, snapshot: Snapshot, start: int, stop: int, fields: Sequence[Field]) -> Arrays:
        """Return the arrays of objects that follow each other, reading their shards whole."""
        out = {field.name: self._empty(field, (stop - start, snapshot.n_rows)) for field in fields}
        positions = np.arange(start, stop)
        for field in fields:
            for part in snapshot.blocks:
                self._read_shards(part, start, stop, self._cubes[field.name], out[field.name])
            self._overlay_some(snapshot, positions, field, out[field.name])
        return out

    def _read_shards(self, part: BlockPart, start: int, stop: int, cube: CubeArray, out: NDArray[Any]) -> None:
        size = cube.shard_objects
        if stop > part.objects:
            out[max(0, part.objects - start) :] = cube.field.fill
        for shard in range(start // size, -(-stop // size)):
            first = shard * size
            low, high = max(start, first), min(stop, first + size, part.objects)
            if low >= high:
                break
            values = cube.read_shard(shard, part.number, rows=high - first)[low - first :]
            out[low - start : high - start, part.rows] = np.moveaxis(values[..., part.columns], -1, 1)

    def _overlay_some(self, snapshot: Snapshot, positions: NDArray[np.int64], field: Field, out: NDArray[Any]) -> None:
        reads = (partial(self._pending.read_some, epoch, field, positions) for _, epoch in snapshot.pending)
        for (row, _), values in zip(snapshot.pending, gather(request_pool(self._keys), reads), strict=True):
            out[:, row] = values

    def _empty_by_row(self, field: Field, objects: int, rows: int) -> NDArray[Any]:
        """Return an array (object, row, measurement) with the rows side by side in memory, as chunks have them."""
        m = (self._schema.n_measurements,) if field.per_measurement else ()
        return np.moveaxis(np.empty((objects, *m, rows), dtype=field.type), -1, 1)

    def _empty(self, field: Field, shape: tuple[int, ...]) -> NDArray[Any]:
        m = (self._schema.n_measurements,) if field.per_measurement else ()
        return np.empty((*shape, *m), dtype=field.type)
