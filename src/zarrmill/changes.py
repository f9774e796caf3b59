"""Whether a source was changed: after a moment on the local disk, and in a store since its keys were first listed."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zarrmill.execute.keys import add_terms
from zarrmill.execute.opening import StoredArray
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.grid import ChunkGrid
from zarrmill.key_states import ListedStates, States, can_tell, iter_files, state_of
from zarrmill.keyspace.model import KeyInfo

METADATA = ("zarr.json", ".zarray", ".zattrs")


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at every file of an array on the local disk shows."""

    changed: str | None
    """A file or folder that was changed after a moment of the file system's clock, or None."""
    states: States | None = field(default=None, repr=False)
    """The state of every chunk's file, None where one was changed and where this version does not know their names."""


def look_at(array: StoredArray, since_ns: int) -> Look:
    """Return what has changed in an array on the local disk since a moment, and the state of every file.

    A key that is missing was removed, or another has come, if the folder where it would lie has changed.
    """
    root = array.root
    if root is None:
        return Look(None)
    if not can_tell(array.document):
        return Look(_changed_below(str(root), since_ns))
    folders = functools.lru_cache(maxsize=4096)(functools.partial(_folder_time, top=str(root)))
    states = np.zeros(len(ChunkGrid.over(array.layout.shape, array.layout.write_chunk)), dtype=np.uint64)
    for number, (key, found) in enumerate(itertools.chain(_iter_metadata(root), iter_files(array, root))):
        if found is None:
            path, when = folders(os.path.dirname(f"{root}/{key}"))
        else:
            path, when = key, found.st_mtime_ns
        if when > since_ns:
            return Look(os.path.join(root, path))
        if number >= len(METADATA):
            states[number - len(METADATA)] = state_of(found)
    return Look(None, states)


def _iter_metadata(root: Path) -> Iterator[tuple[str, os.stat_result | None]]:
    for name in METADATA:
        try:
            yield name, os.stat(root / name)
        except FileNotFoundError:
            yield name, None


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


# --- stores ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Print:
    """What one listing shows of an array in a store: it tells a store that was changed from one that was not."""

    keys: int
    """Keys, metadata included."""
    terms: int
    """Sum over the keys of a hash of name, ETag and size."""
    newest: tuple[int, str] = (0, "")
    """When the youngest key was written, by the store's clock, and which that is."""
    states: States | None = field(default=None, compare=False, repr=False)
    """The state of every chunk's key, None where listings do not say enough."""

    def say(self) -> str:
        """Return what identifies the array, without the time, which says nothing of values.

        >>> Print(12, 255).say()
        '12 keys of fingerprint 00000000000000ff'
        """
        return f"{self.keys} keys of fingerprint {self.terms:016x}"


def take_print(array: StoredArray) -> Print:
    """Return what a listing of an array shows, page by page."""
    count = terms = 0
    states = ListedStates(array)
    newest = (0, "")
    for info in array.keys.list():
        states.add(info)
        count += 1
        terms = add_terms(terms, _term(info))
        newest = max(newest, (info.modified_ns or 0, info.key))
    return Print(count, terms, newest, states.states())


def _term(info: KeyInfo) -> int:
    text = f"{info.key}\0{info.etag}\0{info.nbytes}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def take_prints(arrays: Mapping[str, StoredArray]) -> dict[str, Print]:
    """Return the prints of the arrays in stores that can list their keys, by path, with many requests at once."""
    listed = {path: array for path, array in arrays.items() if array.root is None and array.keys.can_list}
    return dict(zip(listed, WORKSHOP.requests().map(take_print, listed.values()), strict=True)) if listed else {}


def find_reprinted(arrays: Mapping[str, StoredArray], prints: Mapping[str, Print]) -> str | None:
    """Return an array of a store, with a key where one can be named, that was changed since its print; or None."""
    now = take_prints({path: arrays[path] for path in prints})
    for path, before in prints.items():
        after = now[path]
        if (after.keys, after.terms) == (before.keys, before.terms):
            continue
        where = arrays[path].keys.location
        if after.newest[0] > before.newest[0]:
            return f"{where} (key {after.newest[1]})"
        return where if after.keys == before.keys else f"{where} ({before.keys:,} keys then, {after.keys:,} now)"
    return None


def untold_changes(arrays: Mapping[str, StoredArray]) -> list[str]:
    """Return a note where nothing can tell whether a source is changed while it is read: its keys are not listed."""
    if all(array.root is not None or array.keys.can_list for array in arrays.values()):
        return []
    return ["whether the source is changed during the run cannot be told: its server lists no keys"]
