"""Batches of windows for training: every chunk is read and decoded once, in order or shuffled by chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.execute.chunk_files import ReadChunks
from zarrmill.execute.executors import cores
from zarrmill.execute.futures import collect
from zarrmill.execute.opening import StoredArray, encoded_chunks
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.hierarchy import read_hierarchy
from zarrmill.metadata import layout_of
from zarrmill.recordings.windows.window_reader import DEVICES
from zarrmill.store import Location, OpenedStore, open_store

Windows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some windows."""

    index: Windows
    """(n,) numbers of the windows in the store."""
    signals: dict[str, NDArray[Any]]
    """Values by name, n first: ``eeg`` (n, channels, samples), ``fnirs`` (n, channels)."""

    def __len__(self) -> int:
        return len(self.index)


class WindowChunks:
    """The chunks of the signals of one store, decoded whole."""

    def __init__(self, location: Location, *, storage_options: Mapping[str, Any] | None = None) -> None:
        opened = open_store(location, storage_options=storage_options)
        self._arrays = _open_arrays(opened)
        self.location = opened.location
        """Where the store is."""
        self.signals = tuple(name for name in DEVICES if name in self._arrays)
        """Signals that it has."""

    def __len__(self) -> int:
        return self._arrays["time"].layout.shape[0]

    @property
    def chunk(self) -> int:
        """Windows of a chunk."""
        return self._arrays[self.signals[0]].layout.chunks[0] if self.signals else max(1, len(self))

    def valid(self, device: str) -> NDArray[np.bool_]:
        """Return which windows are valid for a device."""
        return np.asarray(self.read(f"{device}_valid", 0), dtype=bool)

    def read(self, name: str, number: int) -> NDArray[Any]:
        """Return the windows of one chunk of an array: one request."""
        array = self._arrays[name]
        return _read_chunk(array, encoded_chunks(array), number)


def _open_arrays(opened: OpenedStore) -> dict[str, StoredArray]:
    nodes = {path: node for path, node in read_hierarchy(opened).arrays.items() if "/" not in path}
    if "time" not in nodes:
        raise SourceFormatError(f"{opened.location} is no store of windows. Make one with zarrmill recordings windows.")
    return {path: StoredArray(opened, path, node.metadata, layout_of(node)) for path, node in nodes.items()}


def _read_chunk(array: StoredArray, chunks: ReadChunks, number: int) -> NDArray[Any]:
    shape = array.layout.chunks
    data = chunks.read([(number, *[0] * (len(shape) - 1))])[0]
    count = min(shape[0], array.layout.shape[0] - number * shape[0])
    if data is None:
        return np.full((count, *shape[1:]), array.fill[()], dtype=array.dtype)
    out = np.empty(shape, dtype=array.dtype)
    values = array.chain().decode(data, out)
    # What was not decoded in place may be a view of memory that the next read overwrites.
    return (values if values is out else values.copy())[:count]


def iter_batches(
    location: Location | WindowChunks,
    *,
    size: int = 256,
    signals: Sequence[str] | None = None,
    valid: Sequence[str] | None = None,
    windows: Sequence[int] | Windows | None = None,
    seed: int | None = None,
) -> Iterator[Batch]:
    """Yield windows in batches of ``size``, the last one shorter; chunks are read ahead by threads, each once.

    ``signals`` are those read, by default all that there are; windows that are not valid for the devices of ``valid``
    (by default of the signals) are left out, and ``windows`` are the only ones taken where they are given, such as
    those of a query. With a ``seed`` chunks come in random order and their windows too; the same seed gives the same
    batches. Memory: a batch and a few chunks.
    """
    store = location if isinstance(location, WindowChunks) else WindowChunks(location)
    names = tuple(store.signals if signals is None else signals)
    absent = [name for name in names if name not in store.signals]
    if absent or size < 1:
        what = f"there is no signal {absent[0]!r} in {store.location}" if absent else f"a batch of {size} windows"
        raise InvalidInputError(f"{what}: there are {', '.join(store.signals) or 'none'}, and a batch has 1 or more.")
    parts = _parts(store, _wanted(store, names if valid is None else valid, windows), seed)
    return _batches(_read_parts(store, names, parts), size)


def _wanted(store: WindowChunks, valid: Sequence[str], windows: Sequence[int] | Windows | None) -> Windows:
    good = np.ones(len(store), dtype=bool)
    for device in valid:
        good &= store.valid(device)
    if windows is None:
        return np.flatnonzero(good)
    asked = np.unique(np.asarray(windows, dtype=np.int64))
    if len(asked) and not (asked[0] >= 0 and asked[-1] < len(store)):
        raise InvalidInputError(f"windows {asked[0]} to {asked[-1]} are not all among the {len(store)} of the store.")
    return asked[good[asked]]


def _parts(store: WindowChunks, wanted: Windows, seed: int | None) -> list[Windows]:
    """Return the wanted windows chunk by chunk."""
    parts = np.split(wanted, np.flatnonzero(np.diff(wanted // store.chunk)) + 1) if len(wanted) else []
    if seed is None:
        return parts
    random = np.random.default_rng(seed)
    return [random.permutation(parts[i]) for i in random.permutation(len(parts))]


def _read_parts(store: WindowChunks, names: Sequence[str], parts: Sequence[Windows]) -> Iterator[Batch]:
    calls: Iterator[Callable[[], Batch]] = (partial(_read_part, store, names, part) for part in parts)
    return collect(WORKSHOP.pool(cores()), calls)


def _read_part(store: WindowChunks, names: Sequence[str], part: Windows) -> Batch:
    number = int(part[0]) // store.chunk
    rows = part - number * store.chunk
    whole = len(rows) == store.chunk and bool((rows == np.arange(len(rows))).all())
    read = {name: store.read(name, number) for name in names}
    return Batch(part, read if whole else {name: values[rows] for name, values in read.items()})


def _batches(parts: Iterator[Batch], size: int) -> Iterator[Batch]:
    waiting: list[Batch] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part)
        while count >= size:
            yield _take(waiting, size)
            count -= size
    if count:
        yield _take(waiting, count)


def _take(waiting: list[Batch], size: int) -> Batch:
    """Return the first windows of what waits, which keeps the rest."""
    taken: list[Batch] = []
    left = size
    while left:
        first = waiting.pop(0)
        if len(first) > left:
            waiting.insert(0, _cut(first, slice(left, None)))
            first = _cut(first, slice(0, left))
        taken.append(first)
        left -= len(first)
    if len(taken) == 1:
        return taken[0]
    names = taken[0].signals
    signals = {name: np.concatenate([batch.signals[name] for batch in taken]) for name in names}
    return Batch(np.concatenate([batch.index for batch in taken]), signals)


def _cut(batch: Batch, rows: slice) -> Batch:
    return Batch(batch.index[rows], {name: values[rows] for name, values in batch.signals.items()})
