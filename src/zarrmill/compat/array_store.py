"""Arrays that are not stored anywhere, seen as a read-only Zarr v3 store whose chunks are computed when they are read.

The engine then treats them like any other store: it asks for a chunk, and a chunk is what is in memory at a time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numcodecs import VLenUTF8
from numpy.typing import NDArray
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from zarrmill.compat.dask_blocks import DaskBlocks, is_dask_array
from zarrmill.documents import consolidated_document
from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.grid import ChunkGrid, Coord, Region, Shape
from zarrmill.v2 import as_v3

Json = dict[str, Any]
METADATA = "zarr.json"
CHUNK_AIM = 4 * 2**20
"""Decoded bytes of a chunk where the array has none of its own: enough for the speed of memory."""
_VARIABLE_ITEMSIZE = 64


@dataclass(frozen=True, slots=True)
class LazyArray:
    """One array that is computed region by region."""

    shape: Shape
    """Length per axis."""
    dtype: np.dtype[Any]
    """Type of the values; objects are strings of variable length."""
    chunks: Shape
    """Largest box that is computed at once."""
    compute: Callable[[Region], NDArray[Any]]
    """Returns the values of a region; any number of threads may call it."""
    dims: tuple[str, ...] | None = None
    """Dimension names."""
    attributes: Json = field(default_factory=dict)
    """Attributes as JSON values."""
    fill_value: Any = None
    """What readers of the target take for values that are not there, None for the type's default."""

    def document(self) -> Json:
        """Return the Zarr v3 metadata of the array, its chunks plain bytes.

        Raises InvalidInputError for types that Zarr v3 has no name for.
        """
        text = self.dtype.kind in "OT"
        dtype = self.dtype if text else self.dtype.newbyteorder("<")
        zarray = {
            "shape": list(self.shape),
            "chunks": list(self.chunks),
            "dtype": "|O" if text else (dtype.str if dtype.names is None else _fields(dtype)),
            "order": "C",
            "fill_value": self.fill_value,
            "filters": [{"id": "vlen-utf8"}] if text else None,
            "compressor": None,
        }
        try:
            document, _ = as_v3(zarray, {})
        except SourceFormatError as error:
            raise InvalidInputError(f"values of type {self.dtype} cannot be stored: {error}") from error
        names = {} if self.dims is None else {"dimension_names": list(self.dims)}
        return {**document, "attributes": self.attributes, **names}

    def encoded(self, coord: Coord) -> bytes:
        """Return the stored bytes of a chunk; what sticks out of the array is zero, and never seen."""
        region = ChunkGrid.over(self.shape, self.chunks).region(coord)
        values = np.asarray(self.compute(region))
        if self.dtype.kind in "OT":
            return _encoded_text(values, self.chunks)
        values = values.astype(self.dtype.newbyteorder("<"), copy=False)
        if values.shape != self.chunks:
            whole = np.zeros(self.chunks, dtype=values.dtype)
            whole[tuple(map(slice, values.shape))] = values
            values = whole
        return values.tobytes()


def _fields(dtype: np.dtype[Any]) -> list[Any]:
    """Return the fields of a structured type as Zarr v2 writes them."""
    names = dtype.names or ()
    return [[name, _fields(dtype[name]) if dtype[name].names else dtype[name].str] for name in names]


def _encoded_text(values: NDArray[Any], chunks: Shape) -> bytes:
    whole = np.full(chunks, "", dtype=object)
    whole[tuple(map(slice, values.shape))] = values.astype(object)
    return bytes(VLenUTF8().encode(whole.reshape(-1)))


def plain_chunks(shape: Shape, dtype: np.dtype[Any]) -> Shape:
    """Return chunks for an array that has none: the last axes whole, the first ones cut to CHUNK_AIM bytes.

    >>> plain_chunks((10_000, 500, 2), np.dtype("f8")), plain_chunks((), np.dtype("f8"))
    ((524, 500, 2), ())
    """
    itemsize = _VARIABLE_ITEMSIZE if dtype.kind in "OT" else max(1, dtype.itemsize)
    room = max(1, CHUNK_AIM // itemsize)
    chunks = []
    for n in reversed(shape):
        length = max(1, min(n, room))
        room = max(1, room // length)
        chunks.append(length)
    return tuple(reversed(chunks))


class ArrayStore(Store):
    """A group of lazy arrays, or one alone, as a Zarr v3 store that nobody can write to."""

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, arrays: Mapping[str, LazyArray], *, name: str, attributes: Json | None = None) -> None:
        """Serve arrays by name; one under "" is alone, and its own root.

        ``name`` identifies the values: a run is continued when the same arrays in the same order are asked for again.
        """
        super().__init__(read_only=True)
        self._arrays = dict(arrays)
        self._name = name
        documents = {path: array.document() for path, array in self._arrays.items()}
        if "" not in documents:
            documents[""] = {"attributes": attributes or {}, "zarr_format": 3, "node_type": "group"}
            # A copy of all metadata in the root is what xarray writes, and what it looks for.
            documents[""] = consolidated_document(documents)
        self._documents = {_join(path, METADATA): json.dumps(document).encode() for path, document in documents.items()}

    def __str__(self) -> str:
        return self._name

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return metadata, or a chunk, computed in a thread of its own so that others go on."""
        data = self._documents.get(key)
        if data is None:
            found = self._find(key)
            if found is None:
                return None
            data = await asyncio.to_thread(found[0].encoded, found[1])
        return prototype.buffer.from_bytes(_part(data, byte_range))

    def _find(self, key: str) -> tuple[LazyArray, Coord] | None:
        """Return the array and the coordinate of a chunk's key."""
        path, _, name = key.rpartition("/")
        array = self._arrays.get(path)
        if array is None or not all(part.isdecimal() for part in name.split(".")):
            return None
        coord = tuple(map(int, name.split("."))) if array.shape else ()
        counts = ChunkGrid.over(array.shape, array.chunks).counts
        inside = len(coord) == len(counts) and all(i < n for i, n in zip(coord, counts, strict=True))
        return (array, coord) if inside else None

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of several keys."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Tell whether a key is there."""
        return key in self._documents or self._find(key) is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Raise, because nobody can write here."""
        raise NotImplementedError(f"{self._name} cannot be written")

    async def delete(self, key: str) -> None:
        """Raise, because nobody can write here."""
        raise NotImplementedError(f"{self._name} cannot be written")

    async def list(self) -> AsyncIterator[str]:
        """Yield every key."""
        for key in self._documents:
            yield key
        for path, array in self._arrays.items():
            for coord in ChunkGrid.over(array.shape, array.chunks).coords():
                yield _join(path, ".".join(map(str, coord)) or "0")

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield every key that begins with a prefix."""
        async for key in self.list():
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names directly below a prefix; chunks are not listed, there may be millions."""
        if not prefix.strip("/"):
            for name in sorted({path.split("/")[0] for path in self._documents}):
                yield name


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _part(data: bytes, byte_range: ByteRequest | None) -> bytes:
    match byte_range:
        case RangeByteRequest(start, end):
            return data[start:end]
        case OffsetByteRequest(offset):
            return data[offset:]
        case SuffixByteRequest(suffix):
            return data[max(0, len(data) - suffix) :]
    return data


def lazy_array(data: Any, **more: Any) -> LazyArray:
    """Return a dask array, or one in memory, as a lazy array; ``more`` are its further fields."""
    if is_dask_array(data):
        blocks = DaskBlocks(data)
        return LazyArray(tuple(map(int, data.shape)), data.dtype, blocks.chunks, blocks, **more)
    chunks = plain_chunks(data.shape, data.dtype)
    return LazyArray(data.shape, data.dtype, chunks, lambda region: data[region.slices], **more)
