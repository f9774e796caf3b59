"""Whether a source on the local disk was changed after a moment."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path

from zarrmill.execute.chunk_files import KeyEncoding
from zarrmill.execute.opening import StoredArray
from zarrmill.grid import ChunkGrid

METADATA = ("zarr.json", ".zarray", ".zattrs")


def find_changed(array: StoredArray, since_ns: int) -> str | None:
    """Return a file or folder of an array that was changed after a moment of the file system's clock, or None.

    The keys that there can be are asked for by name, which takes a sixth of the time of looking for files. A key that
    is missing was removed, or another has come, if the folder where it would lie has changed.
    """
    root = array.root
    if root is None:
        return None
    if array.document["chunk_key_encoding"]["name"] not in ("default", "v2"):
        return _changed_below(str(root), since_ns)
    folders = functools.lru_cache(maxsize=4096)(functools.partial(_folder_time, top=str(root)))
    for path in _files(array, root):
        try:
            changed = os.stat(path).st_mtime_ns > since_ns
        except FileNotFoundError:
            path, when = folders(os.path.dirname(path))
            changed = when > since_ns
        if changed:
            return path
    return None


def _files(array: StoredArray, root: Path) -> Iterator[str]:
    """Yield the files that an array can have."""
    yield from (f"{root}/{name}" for name in METADATA)
    keys = KeyEncoding.of(array.document)
    for coord in ChunkGrid.over(array.layout.shape, array.layout.write_chunk).coords():
        yield f"{root}/{keys.key(coord)}"


def _folder_time(folder: str, *, top: str) -> tuple[str, int]:
    """Return when a folder, or the nearest that is there above it, was changed: just now where even the top is gone."""
    while True:
        try:
            return folder, os.stat(folder).st_mtime_ns
        except FileNotFoundError:
            if folder == top:
                return top, time.time_ns()
            folder = os.path.dirname(folder)


def _changed_below(folder: str, since_ns: int) -> str | None:
    """Look at every file and folder below a folder."""
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        if os.stat(path).st_mtime_ns > since_ns:
            return path
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.stat().st_mtime_ns > since_ns:
                    return entry.path
    return None
