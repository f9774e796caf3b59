"""Objects of epochs that are not folded yet: the chunk of the object is read, and kept for the next."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.shard import EMPTY, Index
from zarrmill.errors import SourceFormatError
from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.epoch_groups import EpochGroup, array_key
from zarrmill.lightcurves.schema import Field, Schema
from zarrmill.lightcurves.shard_reader import Held, lost
from zarrmill.lightcurves.stored_key import StoredKey

HELD_CHUNKS = 1024
"""Chunks that are kept, of about 64 KiB each."""


class PendingEpochs:
    """Reads objects of epochs that are not folded; any number of threads may use it at once.

    What an epoch holds never changes, because the folder of its arrays is named by their digest.
    """

    def __init__(self, keys: KeySpace, schema: Schema) -> None:
        self._keys = keys
        self._schema = schema
        self._stored: Held[StoredKey] = Held(64)
        self._indices: Held[Index] = Held(HELD_CHUNKS)
        self._chunks: Held[NDArray[Any]] = Held(HELD_CHUNKS)

    def read(self, epoch: EpochGroup, field: Field, position: int) -> Any:
        """Return the values of one object: one per measurement, or one."""
        if position >= epoch.rows:
            return field.fill
        size = min(self._schema.sizes.epoch_chunk, max(1, epoch.rows))
        number, row = divmod(position, size)
        return self._chunk(epoch, field, number)[row]

    def read_some(self, epoch: EpochGroup, field: Field, positions: NDArray[np.int64]) -> NDArray[Any]:
        """Return the values of many objects, one row per object."""
        size = min(self._schema.sizes.epoch_chunk, max(1, epoch.rows))
        shape = (len(positions), self._schema.n_measurements)[: 1 + field.per_measurement]
        out = np.full(shape, field.fill, dtype=field.type)
        numbers, rows = np.divmod(positions, size)
        there = positions < epoch.rows
        for number in np.unique(numbers[there]).tolist():
            here = np.flatnonzero(there & (numbers == number))
            out[here] = self._chunk(epoch, field, number)[rows[here]]
        return out

    def read_rows(self, epoch: EpochGroup, field: Field, start: int, stop: int) -> NDArray[Any]:
        """Return the values of objects that follow each other, up to those that there were; nothing is kept."""
        stop = min(stop, epoch.rows)
        size = min(self._schema.sizes.epoch_chunk, max(1, epoch.rows))
        numbers = range(start // size, -(-max(start, stop) // size))
        chunks = [self._load_chunk(epoch, field, number) for number in numbers]
        if not chunks:
            return np.empty((0, self._schema.n_measurements)[: 1 + field.per_measurement], dtype=field.type)
        whole = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
        first = start // size * size
        return whole[start - first : stop - first]

    def _chunk(self, epoch: EpochGroup, field: Field, number: int) -> NDArray[Any]:
        name = f"{array_key(epoch, field)} {number}"
        chunk = self._chunks.get(name)
        if chunk is None:
            chunk = self._load_chunk(epoch, field, number)
            self._chunks.put(name, chunk)
        return chunk

    def _load_chunk(self, epoch: EpochGroup, field: Field, number: int) -> NDArray[Any]:
        key = array_key(epoch, field)
        try:
            return self._read_chunk(self._layout(field, epoch.rows), key, number)
        except SourceFormatError as error:
            raise SourceFormatError(
                f"{self._keys.location}/{key}: {error}. Ingest epoch {epoch.name} again with replace=True."
            ) from error

    def _layout(self, field: Field, rows: int) -> StoredKey:
        name = json.dumps([field.name, rows])
        stored = self._stored.get(name)
        if stored is None:
            stored = StoredKey(self._schema.epoch_layout(field, rows=rows), fill=field.fill_array)
            self._stored.put(name, stored)
        return stored

    def _read_chunk(self, stored: StoredKey, key: str, number: int) -> NDArray[Any]:
        if stored.index is None:
            data = self._keys.get(key)
        else:
            index = self._indices.get(key)
            if index is None:
                packed = self._keys.get_suffix(key, stored.index.nbytes)
                if packed is None:
                    raise lost(self._keys, key)
                index = stored.index.decode(packed)
                self._indices.put(key, index)
            offset, nbytes = index[number].tolist()
            if offset == EMPTY:
                return np.full(stored.chunk, stored.fill, dtype=stored.dtype)
            data = self._keys.get_range(key, offset, nbytes)
        if data is None:
            raise lost(self._keys, key)
        return stored.chain.decode(data)
