"""From a metadata document to a reader or a writer: the one place that decides between driver and zarr-python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.chain import CodecChain, driver_lacks
from zarrmill.codecs.shard import IndexFormat
from zarrmill.digest import ArrayDigest
from zarrmill.execute.chunk_files import ChunkFiles, KeyEncoding, ReadChunks, ShardFiles
from zarrmill.execute.chunk_writer import ChunkWriter, Folder
from zarrmill.execute.encoder import Encoder
from zarrmill.execute.fence import Fence
from zarrmill.execute.readers import StoredReader, ZarrReader
from zarrmill.execute.records import Records
from zarrmill.execute.shard_writer import ShardWriter
from zarrmill.execute.tile_writer import StoredWriter, ZarrWriter
from zarrmill.execute.writers import WriteChunks
from zarrmill.grid import ChunkGrid
from zarrmill.layout import ArrayLayout
from zarrmill.metadata import fill_value_of, numpy_dtype_of, zarr_array
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
        if self.root is None:
            return "a store that is not on the local disk"
        if self.layout.shards is not None and (len(self.document["codecs"]) != 1 or self.index_format() is None):
            return "codecs around the shards"
        if self.document["chunk_key_encoding"]["name"] not in ("default", "v2"):
            return "the chunk key encoding"
        return driver_lacks(self.layout.codecs, self.dtype)


def encoded_chunks(array: StoredArray) -> ReadChunks:
    """Return a reader of the encoded chunks of an array that the driver knows."""
    root, layout = array.root, array.layout
    assert root is not None
    keys = KeyEncoding.of(array.document)
    index = array.index_format()
    if index is None or layout.shards is None:
        return ChunkFiles(root, keys=keys, grid=array.grid, chunk_nbytes=layout.chunk_nbytes)
    return ShardFiles(
        root, keys=keys, grid=array.grid, shards=layout.shards, index=index, chunk_nbytes=layout.chunk_nbytes
    )


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
    root, layout = array.root, array.layout
    assert root is not None
    folder = Folder(root, fence)
    keys = KeyEncoding.of(array.document)
    index = array.index_format()
    if index is None or layout.shards is None:
        return ChunkWriter(folder, path=array.path, keys=keys, grid=array.grid, checksums=checksums)
    return ShardWriter(
        folder,
        path=array.path,
        keys=keys,
        grid=array.grid,
        shards=layout.shards,
        index=index,
        checksums=checksums,
    )


def open_tile_writer(
    array: StoredArray, *, records: Records, checksums: bool, fence: Fence | None = None
) -> StoredWriter | ZarrWriter:
    """Return a writer of tiles, through the driver where it can."""
    if array.driver_lacks() is None:
        encoder = Encoder(array.chain(), grid=array.grid, records=records, fill=array.fill)
        chunks = open_chunk_writer(array, checksums=checksums, fence=fence)
        return StoredWriter(encoder, chunks, grid=array.grid, chunk_nbytes=array.layout.chunk_nbytes)
    root = array.root
    assert root is not None
    opened = array.opened if fence is None else new_directory(fence.new_path())
    return ZarrWriter(
        zarr_array(array.document, opened, array.path),
        folder=Folder(root, fence),
        path=array.path,
        keys=KeyEncoding.of(array.document),
        grid=ChunkGrid.over(array.layout.shape, array.layout.write_chunk),
        fill=array.fill,
        checksums=checksums,
    )
