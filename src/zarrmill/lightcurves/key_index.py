"""From the keys of objects to their positions: sorted keys with their positions, searched chunk by chunk.

Only the first key of each chunk is held, and the chunks that were asked for: opening does not depend on the number of
objects. Text is stored as bytes of one width, in whose order it is sorted.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError, SourceFormatError, UnknownNameError
from zarrmill.keyspace import KeySpace
from zarrmill.lightcurves.options import ObjectKey
from zarrmill.lightcurves.sizing import table_rows
from zarrmill.lightcurves.stored_column import ColumnPlan, StoredColumn, create_column, open_column

WIDEST = 256
"""Bytes of a key of text at the most."""
NEAREST = 3
"""Known keys that the message about an unknown one names."""
HELD_CHUNKS = 64
"""Chunks of an index that are held at once: 256 MiB of whole numbers at the most."""

Sorted = NDArray[Any]
"""Keys in the form in which they are compared: int64, or bytes of one width."""


class FindObjects(Protocol):
    """Finds objects by key."""

    def find(self, key: ObjectKey) -> int:
        """Return the position of one object; raises UnknownNameError that names the nearest keys."""

    def find_all(self, keys: Any) -> NDArray[np.int64]:
        """Return the positions of many objects; raises UnknownNameError for the first that is not known."""

    def find_known(self, keys: Any) -> NDArray[np.int64]:
        """Return the positions of many objects, -1 for each that is not known."""


class RangeKeys:
    """Objects whose keys are their positions."""

    def __init__(self, count: int) -> None:
        self._count = count

    def find(self, key: ObjectKey) -> int:
        """Return the position of one object."""
        try:
            position = int(key)
        except (TypeError, ValueError):
            position = -1
        if not 0 <= position < self._count or position != key:
            raise UnknownNameError(
                f"object {key!r} is not in the store. Its {self._count} objects have the keys 0 to {self._count - 1}."
            )
        return position

    def find_all(self, keys: Any) -> NDArray[np.int64]:
        """Return the positions of many objects."""
        asked = np.asarray(keys)
        if asked.dtype.kind in "iu" and asked.ndim == 1 and (not asked.size or _within(asked, self._count)):
            return asked.astype(np.int64)
        return np.array([self.find(key) for key in asked.reshape(-1).tolist()], dtype=np.int64)

    def find_known(self, keys: Any) -> NDArray[np.int64]:
        """Return the positions of many objects, -1 for each that is not known."""
        asked = np.asarray(keys).reshape(-1)
        if asked.dtype.kind not in "iu":
            return np.full(len(asked), -1, dtype=np.int64)
        known = (asked >= 0) & (asked < self._count)
        return np.where(known, asked, -1).astype(np.int64)


def _within(asked: NDArray[Any], count: int) -> bool:
    return bool(asked.min() >= 0 and asked.max() < count)


class SortedKeys:
    """Objects whose keys are whole numbers or text; any number of threads may use it at once."""

    def __init__(self, key: StoredColumn, position: StoredColumn, first: Sorted, *, count: int) -> None:
        self._key = key
        self._position = position
        self._first = first
        self._count = count
        self._text = first.dtype.kind == "S"
        self._chunks: dict[int, tuple[Sorted, NDArray[np.int64]]] = {}
        self._lock = threading.Lock()

    @classmethod
    def open(cls, keys: KeySpace, path: str, *, count: int) -> SortedKeys:
        """Return the index at a path. Raises SourceFormatError where it is lost."""
        columns = [open_column(keys, f"{path}/{name}") for name in ("key", "position", "first")]
        if None in columns:
            raise SourceFormatError(f"{keys.location}/{path} is lost. Restore it from a copy.")
        key, position, first = (column for column in columns if column is not None)
        return cls(key, position, _as_sorted(first.read(0, first.shape[0])), count=count)

    def find(self, key: ObjectKey) -> int:
        """Return the position of one object."""
        wanted = self._wanted(key)
        if wanted is not None and self._count:
            sorted_keys, positions = self._chunk(self._chunk_of(wanted))
            at = int(sorted_keys.searchsorted(wanted))
            if at < len(sorted_keys) and sorted_keys[at] == wanted:
                return int(positions[at])
        raise UnknownNameError(f"object {key!r} is not in the store. {self._say_nearest(key)}")

    def find_all(self, keys: Any) -> NDArray[np.int64]:
        """Return the positions of many objects."""
        asked = np.asarray(keys).reshape(-1)
        found = self.find_known(asked)
        if len(found) and found.min() < 0:
            self.find(asked[int(np.argmin(found))].item())
        return found

    def find_known(self, keys: Any) -> NDArray[np.int64]:
        """Return the positions of many objects, -1 for each that is not known."""
        asked = np.asarray(keys).reshape(-1)
        found = np.full(len(asked), -1, dtype=np.int64)
        if asked.dtype.kind not in self._kinds or not self._count or not len(asked):
            return found
        wanted = _sortable(asked, width=self._first.dtype.itemsize)
        chunks = np.maximum(self._first.searchsorted(wanted, side="right") - 1, 0)
        for number in np.unique(chunks).tolist():
            here = np.flatnonzero(chunks == number)
            sorted_keys, positions = self._chunk(number)
            at = np.minimum(sorted_keys.searchsorted(wanted[here]), len(sorted_keys) - 1)
            found[here] = np.where(sorted_keys[at] == wanted[here], positions[at], -1)
        if asked.dtype.kind == "u":
            found[asked > np.iinfo(np.int64).max] = -1
        return found

    @property
    def _kinds(self) -> str:
        return "UT" if self._text else "iu"

    def _wanted(self, key: ObjectKey) -> Any:
        """Return a key as it is compared, None for what can be no key."""
        if self._text:
            data = key.encode() if isinstance(key, str) else None
            return None if data is None or len(data) > self._first.dtype.itemsize else np.bytes_(data)
        try:
            return np.int64(key) if int(key) == key else None
        except (TypeError, ValueError, OverflowError):
            return None

    def _chunk_of(self, wanted: Any) -> int:
        return max(0, int(self._first.searchsorted(wanted, side="right")) - 1)

    def _chunk(self, number: int) -> tuple[Sorted, NDArray[np.int64]]:
        chunk = self._chunks.get(number)
        if chunk is None:
            rows = self._key.chunk[0]
            count = min(rows, self._count - number * rows)
            chunk = _as_sorted(self._key.read_chunk(number))[:count], self._position.read_chunk(number)[:count]
            with self._lock:
                if len(self._chunks) >= HELD_CHUNKS:
                    self._chunks.pop(next(iter(self._chunks)))
                self._chunks[number] = chunk
        return chunk

    def _say_nearest(self, key: ObjectKey) -> str:
        """Return a sentence with the keys beside where an unknown one would be."""
        if not self._count:
            return "It has no objects yet."
        if isinstance(key, str) != self._text:
            kind = "text" if self._text else "whole numbers"
            return f"Its keys are {kind}, such as {self._plain(self._first[0])!r}."
        limit = self._first.dtype.itemsize
        wanted = (
            np.bytes_(str(key).encode()[:limit]) if self._text else np.int64(min(max(int(key), -(2**63)), 2**63 - 1))
        )
        sorted_keys, _ = self._chunk(self._chunk_of(wanted))
        at = int(sorted_keys.searchsorted(wanted))
        low = max(0, min(at - (NEAREST - 1), len(sorted_keys) - NEAREST))
        near = [self._plain(k) for k in sorted_keys[low : low + NEAREST]]
        return f"The nearest keys are {', '.join(map(repr, near))}."

    def _plain(self, key: Any) -> ObjectKey:
        return bytes(key).decode(errors="replace") if self._text else int(key)


def check_keys(keys: NDArray[Any]) -> None:
    """Raise InvalidInputError for keys that are no keys, or that come twice."""
    if keys.dtype.kind not in "iuU":
        raise InvalidInputError(f"object keys are {keys.dtype}. Give whole numbers or text.")
    if keys.dtype.kind == "U":
        empty = np.flatnonzero(keys == "")
        if len(empty):
            raise InvalidInputError(f"object key {int(empty[0])} (counted from 0) is empty. Give every object a key.")
        longest = max(map(len, map(str.encode, keys.tolist())), default=0)
        if longest > WIDEST:
            raise InvalidInputError(f"an object key has {longest} bytes, {WIDEST} are possible. Give shorter keys.")
    elif keys.dtype.kind == "u" and keys.size and int(keys.max()) > np.iinfo(np.int64).max:
        raise InvalidInputError(f"object key {int(keys.max())} does not fit into int64. Give it as text.")
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        count = int((keys == twice[0]).sum())
        raise InvalidInputError(f"object key {twice[0].item()!r} comes {count} times. Keys must differ.")


def create_index(keys: KeySpace, path: str, object_keys: NDArray[Any]) -> None:
    """Write the index of all keys, the position of a key being its place in ``object_keys``."""
    width = max([1, *(len(key.encode()) for key in object_keys.tolist())]) if object_keys.dtype.kind == "U" else 8
    comparable = _sortable(object_keys, width=width)
    order = np.argsort(comparable, kind="stable")
    rows = table_rows(len(object_keys))
    ordered = comparable[order]
    firsts = ordered[::rows] if len(ordered) else ordered
    for name, values in (("key", ordered), ("first", firsts), ("position", order.astype(np.int64))):
        stored = _as_stored(values) if name != "position" else values
        dims = ("sorted", "byte")[: stored.ndim] if name != "first" else ("chunk", "byte")[: stored.ndim]
        plan = ColumnPlan(rows if name != "first" else max(1, len(values)), dims, {"long_name": _SAID[name]})
        create_column(keys, f"{path}/{name}", stored, plan=plan)


_SAID = {
    "key": "keys of the objects in ascending order, text as bytes of UTF-8",
    "first": "first key of each chunk of keys",
    "position": "place of the object along the axis of objects",
}


def _sortable(keys: NDArray[Any], *, width: int) -> Sorted:
    """Return keys as they are compared; text that is longer than any known key is cut, and so equals none."""
    if keys.dtype.kind in "iu":
        return keys.astype(np.int64)
    encoded: Sequence[bytes] = [str(key).encode() for key in keys.tolist()]
    longest = max([width, *map(len, encoded)])
    return np.array(encoded, dtype=f"S{longest}")


def _as_stored(values: Sorted) -> NDArray[Any]:
    if values.dtype.kind != "S":
        return values
    return np.frombuffer(values.tobytes(), dtype=np.uint8).reshape(len(values), values.dtype.itemsize)


def _as_sorted(stored: NDArray[Any]) -> Sorted:
    if stored.ndim == 1:
        return stored
    return np.ascontiguousarray(stored).view(f"S{stored.shape[1]}").reshape(-1)
