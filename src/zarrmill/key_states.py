"""The state of every key of an array: what tells a key that was written again from one that was not.

On the local disk that is a file's time and length, as for make and rsync; in a store it is what a listing says: its
ETag and length. A state is one number, so that those of a million keys take 8 MB.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.execute.chunk_files import KeyEncoding
from zarrmill.execute.opening import StoredArray
from zarrmill.grid import ChunkGrid
from zarrmill.keyspace.model import KeyInfo

States = NDArray[np.uint64]
"""A number for each write chunk of an array in C order, 0 for one that is missing."""
MISSING = 0
_MASK = 2**64 - 1
_TIME, _LENGTH = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F
"""Large odd factors, which spread times and lengths over all bits."""


def can_tell(document: dict[str, Any]) -> bool:
    """Tell whether the keys of an array are named in a way that this version knows."""
    return document["chunk_key_encoding"]["name"] in ("default", "v2")


def iter_files(array: StoredArray, root: Path) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield every key that an array can have, in C order, and what the file system says of it, None if it is missing.

    They are asked for by name, which takes a sixth of the time of looking for files.
    """
    keys, grid = KeyEncoding.of(array.document), ChunkGrid.over(array.layout.shape, array.layout.write_chunk)
    try:
        # From here a name is looked up in two or three folders, from the top of the file system in ten.
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield from ((keys.key(coord), None) for coord in grid.coords())
        return
    try:
        for coord in grid.coords():
            key = keys.key(coord)
            try:
                found = os.stat(key, dir_fd=folder)
            except (FileNotFoundError, NotADirectoryError):
                yield key, None
            else:
                yield key, found
    finally:
        os.close(folder)


def file_states(array: StoredArray) -> States | None:
    """Return the states of the files of an array on the local disk, None for names that this version does not know."""
    root = array.root
    if root is None or not can_tell(array.document):
        return None
    count = len(ChunkGrid.over(array.layout.shape, array.layout.write_chunk))
    return np.fromiter((state_of(found) for _, found in iter_files(array, root)), dtype=np.uint64, count=count)


def state_of(found: os.stat_result | None) -> int:
    """Return the state of a file."""
    if found is None:
        return MISSING
    return ((found.st_mtime_ns * _TIME) ^ (found.st_size * _LENGTH)) & _MASK or 1


class ListedStates:
    """The states of the keys of an array in a store, taken from its listing as that goes by."""

    def __init__(self, array: StoredArray) -> None:
        self._grid = ChunkGrid.over(array.layout.shape, array.layout.write_chunk)
        self._keys = KeyEncoding.of(array.document) if can_tell(array.document) else None
        self._states = np.zeros(len(self._grid), dtype=np.uint64)
        self._told = self._keys is not None

    def add(self, info: KeyInfo) -> None:
        """Take one key of the listing."""
        number = None if self._keys is None else number_of(self._keys, info.key, self._grid)
        if number is None:
            return
        tag = info.etag or info.modified_ns
        if tag is None:
            self._told = False
            return
        text = f"{tag}\0{info.nbytes}"
        self._states[number] = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") or 1

    def states(self) -> States | None:
        """Return the states, None where listings do not say what would tell one value from another."""
        return self._states if self._told else None


def number_of(keys: KeyEncoding, key: str, grid: ChunkGrid) -> int | None:
    """Return which box of a grid a key belongs to, counted in C order; None for other keys.

    >>> number_of(KeyEncoding("c", "/"), "c/1/0", ChunkGrid.over((4, 4), (2, 2)))
    2
    """
    coord = keys.coord(key, len(grid.chunks))
    if coord is None or any(i >= n for i, n in zip(coord, grid.counts, strict=True)):
        return None
    return sum(i * math.prod(grid.counts[axis + 1 :]) for axis, i in enumerate(coord))
