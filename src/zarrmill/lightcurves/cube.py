"""The object layout, array by array: keys of shards, chunks of objects, and whole shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.errors import SourceFormatError
from zarrmill.grid import ceil_div
from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.parallel import codec_pool, gather, request_pool
from zarrmill.lightcurves.schema import Field, Schema
from zarrmill.lightcurves.shard_reader import lost, open_shards
from zarrmill.lightcurves.snapshot import BlockPart, Rows
from zarrmill.lightcurves.stored_key import StoredKey

GROUP = "by_object"
GROUP_OBJECTS = 64
"""Objects of one shard that are read by one call."""
THREADED_CHUNK = 2**16
"""Decoded bytes of a chunk from which threads pay: of smaller ones most of the time is Python's own."""


class CubeArray:
    """One array of the object layout; any number of threads may use it at once."""

    def __init__(self, keys: KeySpace, schema: Schema, field: Field) -> None:
        self.field = field
        self.stored = StoredKey(schema.cube_layout(field, n_objects=1, n_epochs=1), fill=field.fill_array)
        self.shard_objects = schema.sizes.shard_objects
        self._keys = keys
        assert self.stored.index is not None
        self._shards = open_shards(keys, self.stored.index, arrays=len(schema.fields))

    def key(self, shard: int, block: int) -> str:
        """Return the key of a shard of objects at a block of epochs."""
        return shard_key(self.field, shard, block)

    def read(self, part: BlockPart, position: int, out: NDArray[Any]) -> None:
        """Set the rows of one object, an array (row, measurement) or (row,), that a block contributes."""
        shard, number = divmod(position, self.shard_objects)
        key, data = self.key(shard, part.number), None
        if position < part.objects:
            data = self._shards.read(key, number, generation=part.generation)
        if data is None:
            out[part.rows] = self.field.fill
            return
        try:
            out[part.rows] = self.stored.chain.decode(data)[0][..., part.columns].T
        except SourceFormatError as error:
            raise _damaged(self._keys, key, position, error) from error

    def read_some(self, part: BlockPart, positions: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Set the rows of many objects, an array (object, row, measurement) or (object, row)."""
        nbytes = self.stored.chain.nbytes
        together = codec_pool(len(positions) * nbytes) if nbytes >= THREADED_CHUNK else None
        pool = request_pool(self._keys) or together
        for _ in gather(pool, self._group_calls(part, positions, out)):
            pass

    def _group_calls(
        self, part: BlockPart, positions: NDArray[np.int64], out: NDArray[Any]
    ) -> Iterator[Callable[[], None]]:
        """Yield what reads a few objects of one shard each."""
        shards, numbers = np.divmod(positions, self.shard_objects)
        known = positions < part.objects
        if not known.all():
            out[np.ix_(~known, _as_indices(part.rows))] = self.field.fill
        order = np.argsort(shards, kind="stable")
        order = order[known[order]]
        starts = np.flatnonzero(np.diff(shards[order], prepend=-1))
        for members in np.split(order, starts[1:]) if len(order) else ():
            for i in range(0, len(members), GROUP_OBJECTS):
                some = members[i : i + GROUP_OBJECTS]
                yield partial(self._read_group, part, int(shards[some[0]]), some.tolist(), numbers[some].tolist(), out)

    def _read_group(
        self, part: BlockPart, shard: int, members: list[int], numbers: list[int], out: NDArray[Any]
    ) -> None:
        """Set the rows of objects of one shard: decoded one below the other, and moved to their places at once."""
        key = self.key(shard, part.number)
        found = self._shards.read_some(key, numbers, generation=part.generation)
        stored = [data for data in found if data is not None]
        chunks = np.empty((len(stored), *self.stored.chunk), dtype=self.stored.dtype)
        try:
            self.stored.chain.decode_many(stored, chunks)
        except SourceFormatError:
            self._name_damaged(key, [shard * self.shard_objects + number for number in numbers], found)
            raise
        if len(stored) < len(found):
            absent = [member for member, data in zip(members, found, strict=True) if data is None]
            self._set(out, absent, part.rows, self.field.fill)
            members = [member for member, data in zip(members, found, strict=True) if data is not None]
        self._set(out, members, part.rows, chunks[:, 0][..., part.columns])

    def _set(self, out: NDArray[Any], members: list[int], rows: Rows, values: Any) -> None:
        """Set rows of some members of an array (object, row, …) from values (member, …, row)."""
        places = np.moveaxis(out, 1, -1)
        if isinstance(rows, slice):
            places[members, ..., rows] = values
        else:
            axes: list[NDArray[Any]] = [np.asarray(members, dtype=np.int64), *map(np.arange, places.shape[1:-1]), rows]
            places[np.ix_(*axes)] = values

    def _name_damaged(self, key: str, positions: list[int], found: Sequence[Buffer | None]) -> None:
        """Raise SourceFormatError with the object whose chunk cannot be decoded."""
        for position, data in zip(positions, found, strict=True):
            try:
                if data is not None:
                    self.stored.chain.decode(data)
            except SourceFormatError as error:
                raise _damaged(self._keys, key, position, error) from error

    def read_shard(self, shard: int, block: int, *, rows: int) -> NDArray[Any]:
        """Return the first rows of a whole shard: (object, measurement, epoch) or (object, epoch)."""
        key = self.key(shard, block)
        data = self._keys.get(key)
        if data is None:
            raise lost(self._keys, key)
        try:
            return self.stored.decode(data, rows, codec_pool(rows * self.stored.chain.nbytes))
        except SourceFormatError as error:
            raise SourceFormatError(f"{self._keys.location}/{key}: {error}. Restore it from a copy.") from error


def shard_key(field: Field, shard: int, block: int) -> str:
    """Return the key of a shard.

    >>> shard_key(Field("flux", "float32", 0.0, "1", True, {}), 3, 0)
    'by_object/flux/c.3.0.0'
    """
    middle = "0." if field.per_measurement else ""
    return f"{GROUP}/{field.name}/c.{shard}.{middle}{block}"


def _as_indices(rows: Rows) -> NDArray[np.int64]:
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows


def count_shards(n_objects: int, shard_objects: int) -> int:
    """Return the number of shards along the axis of objects."""
    return ceil_div(n_objects, shard_objects)


def _damaged(keys: KeySpace, key: str, position: int, error: SourceFormatError) -> SourceFormatError:
    return SourceFormatError(
        f"{keys.location}/{key}: object {position} cannot be decoded: {error}. Restore the shard from a copy."
    )
