"""From a metadata document to a reader or a writer: the one place that decides between driver and zarr-python."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.chain import CodecChain, driver_lacks
from zarrmill.codecs.shard import IndexFormat
from zarrmill.digest import ArrayDigest
from zarrmill.execute.chunk_files import ChunkFiles, KeyEncoding, ReadChunks, ShardFiles
from zarrmill.execute.chunk_requests import ChunkRequests, ShardRequests
from zarrmill.execute.chunk_writer import ChunkWriter
from zarrmill.execute.encoder import Encoder
from zarrmill.execute.fence import Fence
from zarrmill.execute.readers import StoredReader, ZarrReader
from zarrmill.execute.records import Records
from zarrmill.execute.shard_writer import ShardWriter
from zarrmill.execute.sinks import FileSinks, Sinks, StoreSinks
from zarrmill.execute.tile_writer import StoredWriter, ZarrWriter
from zarrmill.execute.writers import WriteChunks
from zarrmill.grid import ChunkGrid
from zarrmill.keyspace import KeySpace
from zarrmill.layout import ArrayLayout
from zarrmill.metadata import fill_value_of, numpy_dtype_of, zarr_array
from zarrmill.plan.memory import key_bound
from zarrmill.store import OpenedStore, new_directory


@dataclass(frozen=True, slots=True)
class StoredArray:
    """One array of a store, as its metadata describes it."""

    opened: OpenedStore
    """The store."""
    path: str
    """Path below its root."""
    document: dict[str, Any]
    """Metadata in v3 form."""
    layout: ArrayLayout
    """Layout that follows from it."""

    @property
    def name(self) -> str:
        """What people are shown."""
        return self.path or self.opened.location

    @property
    def root(self) -> Path | None:
        """Folder of the array on the local disk."""
        return None if self.opened.local is None else self.opened.local / self.path

    @property
    def keys(self) -> KeySpace:
        """Keys of the array."""
        keys = self.opened.keys.below(self.path) if self.path else self.opened.keys
        return keys.unchecked() if has_checksum(self) else keys

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return numpy_dtype_of(self.document)

    @property
    def fill(self) -> NDArray[Any]:
        """Fill value, 0-d."""
        return fill_value_of(self.document)

    @property
    def grid(self) -> ChunkGrid:
        """Grid of (inner) chunks."""
        return ChunkGrid.over(self.layout.shape, self.layout.chunks)

    def chain(self) -> CodecChain:
        """Return the codecs of a chunk."""
        return CodecChain(self.layout.codecs, dtype=self.dtype, chunk=self.layout.chunks)

    def digest(self) -> ArrayDigest:
        """Return the digest of arrays like this one."""
        return ArrayDigest(self.layout.shape, self.layout.dtype)

    def index_format(self) -> IndexFormat | None:
        """Return how the shards' index is stored, or None without shards or for one that the driver has not."""
        sharding = next((c for c in self.document["codecs"] if c["name"] == "sharding_indexed"), None)
        if sharding is None or self.layout.shards is None:
            return None
        pairs = zip(self.layout.shards, self.layout.chunks, strict=True)
        count = int(np.prod([s // c for s, c in pairs], dtype=np.int64))
        return IndexFormat.from_codec(sharding["configuration"], count=count)

    def driver_lacks(self) -> str | None:
        """Return what keeps the driver from this array, or None when it can read and write it."""
        if self.layout.shards is not None and (len(self.document["codecs"]) != 1 or self.index_format() is None):
            return "codecs around the shards"
        if self.document["chunk_key_encoding"]["name"] not in ("default", "v2"):
            return "the chunk key encoding"
        return driver_lacks(self.layout.codecs, self.dtype)


def encoded_chunks(array: StoredArray) -> ReadChunks:
    """Return a reader of the encoded chunks of an array that the driver knows."""
    root, layout, grid = array.root, array.layout, array.grid
    names, nbytes = KeyEncoding.of(array.document), array.layout.chunk_nbytes
    index = array.index_format()
    if index is None or layout.shards is None:
        if root is not None:
            return ChunkFiles(root, keys=names, grid=grid, chunk_nbytes=nbytes)
        return ChunkRequests(array.keys, encoding=names, grid=grid, chunk_nbytes=nbytes)
    shards = layout.shards
    if root is not None:
        return ShardFiles(root, keys=names, grid=grid, shards=shards, index=index, chunk_nbytes=nbytes)
    return ShardRequests(array.keys, encoding=names, grid=grid, shards=shards, index=index, chunk_nbytes=nbytes)


def open_reader(array: StoredArray, *, records: Records | None = None, digest: bool) -> StoredReader | ZarrReader:
    """Return a reader of an array's values, through the driver where it can."""
    shares = array.digest() if digest else None
    if array.driver_lacks() is not None:
        return ZarrReader(
            zarr_array(array.document, array.opened, array.path), name=array.name, grid=array.grid, digest=shares
        )
    return StoredReader(
        encoded_chunks(array),
        name=array.name,
        grid=array.grid,
        chain=array.chain(),
        records=records or Records(len(array.layout.shape), array.dtype),
        fill=array.fill,
        digest=shares,
    )


def open_chunk_writer(array: StoredArray, *, checksums: bool, fence: Fence | None = None) -> WriteChunks:
    """Return a writer of encoded chunks for a target that the driver knows."""
    layout = array.layout
    keys = KeyEncoding.of(array.document)
    index = array.index_format()
    sinks = open_sinks(array, fence)
    if index is None or layout.shards is None:
        return ChunkWriter(sinks, path=array.path, keys=keys, grid=array.grid, checksums=checksums)
    return ShardWriter(
        sinks,
        path=array.path,
        keys=keys,
        grid=array.grid,
        shards=layout.shards,
        index=index,
        checksums=checksums,
    )


def open_sinks(array: StoredArray, fence: Fence | None = None) -> Sinks:
    """Return where the keys of an array are written, on the local disk behind the fence of a run."""
    if array.root is not None:
        return FileSinks(array.root, fence)
    return StoreSinks(array.keys, bound=key_bound(array.layout))


def has_checksum(array: StoredArray) -> bool:
    """Tell whether the chunks of an array end in a CRC-32C."""
    return bool(array.layout.codecs) and json.loads(array.layout.codecs[-1])["name"] == "crc32c"


def open_tile_writer(
    array: StoredArray, *, records: Records, checksums: bool, fence: Fence | None = None
) -> StoredWriter | ZarrWriter:
    """Return a writer of tiles, through the driver where it can."""
    if array.driver_lacks() is None:
        encoder = Encoder(array.chain(), grid=array.grid, records=records, fill=array.fill)
        chunks = open_chunk_writer(array, checksums=checksums, fence=fence)
        return StoredWriter(encoder, chunks, grid=array.grid, chunk_nbytes=array.layout.chunk_nbytes)
    opened = array.opened if fence is None or array.root is None else new_directory(fence.new_path())
    return ZarrWriter(
        zarr_array(array.document, opened, array.path),
        made=replace(array, opened=opened).keys,
        sinks=open_sinks(array, fence),
        path=array.path,
        keys=KeyEncoding.of(array.document),
        grid=ChunkGrid.over(array.layout.shape, array.layout.write_chunk),
        fill=array.fill,
        checksums=checksums,
    )
