"""Where two arrays of one shape and type differ: digests box by box, then the values of the boxes that differ.

Each store is read once, in its own order, for a digest of every box of a common grid. Boxes with equal digests hold
equal values. Those that differ are narrowed down the same way until both sides fit into memory and are compared.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.digest import ArrayDigest, Share
from zarrmill.digests import digest_region, whole
from zarrmill.errors import MemoryLimitError
from zarrmill.execute.opening import StoredArray, open_reader
from zarrmill.execute.tiles import Arena, TileBuffer, cut
from zarrmill.grid import ChunkGrid, Coord, Region, Shape, ceil_div, round_up, touches
from zarrmill.plan.memory import PAGE, SLACK, read_side
from zarrmill.units import format_bytes

MOST_BOXES = 4096
"""Boxes of one grid: their digests take a megabyte."""
PIECE_BYTES = 256 * 2**10
"""Mean size of the parts into which boxes cut chunks: digesting them takes little longer than whole chunks."""
LEAST_BOX = 2**20
"""Bytes of values that are compared at once at the least."""
STRETCH = 2**16
"""Values whose differences are looked for at once: marks and indices of more would need memory of their own."""
MOST_CHUNKS = 32
"""Differing chunks that are told apart in one box."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A region in which two arrays differ: the smallest that holds what differs in one chunk of the second."""

    region: Region
    """The region."""
    differing: int
    """Values in it that differ; 0 when what had differed was equal when it was read again."""
    index: Coord = ()
    """Index of the first of them, in C order."""
    first: NDArray[Any] | None = None
    """Its value in the first array, as an array of no axes."""
    second: NDArray[Any] | None = None
    """Its value in the second array."""


@dataclass(frozen=True, slots=True)
class Memory:
    """How a limit is divided while two arrays are compared."""

    threads: int
    """Threads that decode."""
    box: int
    """Bytes that a box may have, of each array."""


def share_memory(first: StoredArray, second: StoredArray, *, max_mem: int, threads: int) -> Memory:
    """Return how many threads decode and how much is compared at once; raises MemoryLimitError with the least limit.

    The projection counts what the threads hold of the larger chunks, what comes ahead from a store, and a box of each
    array.
    """
    sides = [
        read_side(array.layout, native=array.driver_lacks() is None, remote=array.opened.copies)
        for array in (first, second)
    ]
    least = max(LEAST_BOX, round_up(first.layout.itemsize, PAGE))
    while True:
        fixed = SLACK + max(side.mem(threads) for side in sides)
        room = (max_mem - fixed) // 2 // PAGE * PAGE
        if room >= least:
            return Memory(threads, room)
        if threads == 1:
            break
        threads //= 2
    # A mebibyte more than the bound, because the limit is rounded when it is written down.
    needed = round_up(fixed + 2 * least, 2**20) + 2**20
    chunks = " and ".join("x".join(map(str, array.layout.chunks)) or "1" for array in (first, second))
    raise MemoryLimitError(
        f"{first.path or 'array'}: comparing chunks of {chunks} needs {format_bytes(needed)} of memory, max_mem is "
        f"{format_bytes(max_mem)}. Raise max_mem to {needed // 2**20}MiB."
    )


def choose_box(shape: Shape, first: Shape, second: Shape, *, itemsize: int, room: int) -> Shape:
    """Return the box by which two arrays with chunks ``first`` and ``second`` are compared.

    It is halved along the axis on which that cuts the fewest chunks: until it has ``room`` bytes at the most, and
    then as long as chunks stay whole or their parts large. There are at most MOST_BOXES of it.

    >>> choose_box((960, 721, 1440), (1, 721, 1440), (960, 20, 20), itemsize=4, room=100_000_000)
    (240, 40, 1440)
    >>> choose_box((10**6, 10), (1000, 10), (1000, 10), itemsize=8, room=100_000_000)
    (1000, 10)
    """
    box = tuple(max(1, n) for n in shape)
    chunks = sum(_pairs(shape, c, c) for c in (first, second))
    most = max(chunks, 2 * math.prod(shape) * itemsize // PIECE_BYTES)
    while True:
        best: tuple[int, Shape] | None = None
        for smaller in _smaller(box, first, second):
            pairs = _pairs(shape, first, smaller) + _pairs(shape, second, smaller)
            if _pairs(shape, smaller, smaller) <= MOST_BOXES and (best is None or pairs < best[0]):
                best = pairs, smaller
        if best is None or (best[0] > most and math.prod(box) * itemsize <= room):
            return box
        box = best[1]


def _smaller(box: Shape, first: Shape, second: Shape) -> Iterator[Shape]:
    """Yield the box cut in about two along each axis, at a border of chunks and anywhere."""
    for axis, n in enumerate(box):
        units = {1, first[axis], second[axis], math.lcm(first[axis], second[axis])}
        for length in sorted({round_up(ceil_div(n, 2), unit) for unit in units}):
            if length < n:
                yield (*box[:axis], length, *box[axis + 1 :])


def _pairs(shape: Shape, chunk: Shape, box: Shape) -> int:
    return math.prod(touches(n, c, b) for n, c, b in zip(shape, chunk, box, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class BoxDigest(ArrayDigest):
    """A digest that keeps the shares of the boxes of a grid apart; any number of threads may add to it.

    >>> boxes = BoxDigest((4,), "i4", ChunkGrid.over((4,), (2,)))
    >>> whole = boxes.share(np.arange(4, dtype="i4"), (0,))
    >>> boxes.sums[0,] + boxes.sums[1,] == whole == ArrayDigest((4,), "i4").share(np.arange(4, dtype="i4"), (0,))
    True
    """

    grid: ChunkGrid
    """The boxes."""
    sums: dict[Coord, Share] = field(default_factory=dict)
    """Shares by coordinate of the box."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while a share is added."""

    def share(self, values: NDArray[Any], origin: Coord) -> Share:
        """Return the share of values, and add that of each box to it."""
        part = Region(origin, tuple(o + n for o, n in zip(origin, values.shape, strict=True)))
        return self._add(part, lambda box: ArrayDigest.share(self, values[box.slices_in(part)], box.start))

    def fill_share(self, fill: NDArray[Any] | np.generic, start: Coord, stop: Coord) -> Share:
        """Return the share of a region in which every value is ``fill``, and add that of each box to it."""
        return self._add(Region(start, stop), lambda box: ArrayDigest.fill_share(self, fill, box.start, box.stop))

    def _add(self, part: Region, share: Callable[[Region], Share]) -> Share:
        touched = self.grid.box(part)
        if touched.size == 1:
            return self._note(touched.start, share(part))
        total = Share.zero()
        for coord in self.grid.coords(part):
            box = self.grid.region(coord).intersect(part)
            if box is not None:
                total += self._note(coord, share(box))
        return total

    def _note(self, coord: Coord, share: Share) -> Share:
        with self.lock:
            self.sums[coord] = self.sums.get(coord, Share.zero()) + share
        return share


@dataclass(frozen=True, slots=True)
class _BoxedArray(StoredArray):
    """An array whose readers digest it box by box."""

    boxes: BoxDigest
    """Where its shares add up."""

    def digest(self) -> ArrayDigest:
        """Return the digest that readers of this array add to."""
        return self.boxes


Sums = dict[Coord, Share]
"""Digest shares by coordinate of a box."""


class Comparison:
    """Two arrays of one shape and type, and what is needed to compare them."""

    def __init__(self, first: StoredArray, second: StoredArray, *, memory: Memory, pool: ThreadPoolExecutor) -> None:
        self._sides = (first, second)
        self._memory = memory
        self._pool = pool
        self._arenas: list[Arena] = []

    def grid(self, region: Region | None = None) -> ChunkGrid:
        """Return the boxes by which a region, all of it by default, is compared."""
        first, second = (array.layout for array in self._sides)
        region = region or whole(self._sides[0])
        box = choose_box(region.shape, first.chunks, second.chunks, itemsize=first.itemsize, room=self._memory.box)
        return ChunkGrid(region, box)

    def sums(self, side: int, grid: ChunkGrid, advance: Callable[[int], None]) -> Sums:
        """Return the digests of the boxes of the first array (0) or the second (1).

        Every chunk that touches the grid is decoded once. ``advance`` is told of decoded bytes. Raises
        SourceFormatError.
        """
        array = self._sides[side]
        boxes = BoxDigest(array.layout.shape, array.layout.dtype, grid)
        boxed = _BoxedArray(array.opened, array.path, array.document, array.layout, boxes)
        digest_region(boxed, grid.domain, self._pool, self._memory.threads, advance)
        return boxes.sums

    def find(self, box: Region) -> Iterator[Difference]:
        """Yield the differences in a box whose digests differ, narrowing it down until it fits into memory."""
        if box.size * self._sides[0].layout.itemsize <= self._memory.box:
            first, second = (self._load(side, box) for side in range(2))
            yield from find_differences(first, second, box, chunks=self._sides[1].layout.chunks)
            return
        grid = self.grid(box)
        found = differing_boxes(grid, *(self.sums(side, grid, _ignore) for side in range(2)))
        for smaller in found:
            yield from self.find(smaller)
        if not found:
            yield Difference(box, 0)

    def _load(self, side: int, box: Region) -> NDArray[Any]:
        """Return the values of a box of one array, in memory that the next box reuses."""
        array = self._sides[side]
        dtype, memory = array.dtype, None
        if not (dtype.hasobject or dtype.kind == "T"):
            if len(self._arenas) <= side:
                self._arenas.append(Arena(min(self._memory.box, array.layout.nbytes)))
            memory = self._arenas[side].memory
        tile = TileBuffer(box, cut(box, None), dtype, memory)
        # A reader keeps the buffers of its threads, so each lives for one box only.
        open_reader(array, digest=False).fill(tile, self._pool, self._memory.threads)
        return next(iter(tile.pieces.values()))


def _ignore(nbytes: int) -> None:
    """Take progress that nobody asked for."""


def differing_boxes(grid: ChunkGrid, first: Sums, second: Sums) -> list[Region]:
    """Return the boxes whose digests differ, in C order."""
    return [grid.region(coord) for coord in sorted({*first, *second}) if first.get(coord) != second.get(coord)]


def find_differences(first: NDArray[Any], second: NDArray[Any], box: Region, *, chunks: Shape) -> list[Difference]:
    """Return where the bits of two contiguous arrays, which hold the values of a box, differ, chunk by chunk.

    They come in the order of their first values, MOST_CHUNKS of them at the most. Where nothing differs, that is told
    as one difference of no values.

    >>> a, b = np.zeros((2, 3)), np.array([[0, 0, 0], [0, -0.0, 1]])
    >>> [found] = find_differences(a, b, Region((10, 20), (12, 23)), chunks=(6, 100))
    >>> str(found.region), found.differing, found.index, float(found.second)
    ('[11:12, 21:23]', 2, (11, 21), -0.0)
    """
    flat = first.reshape(-1), second.reshape(-1)
    chunks_of_box = tuple(ceil_div(b, c) - a // c for a, b, c in zip(box.start, box.stop, chunks, strict=True))
    found: dict[int, Difference] = {}
    for numbers in _differing(*flat):
        # Numpy has no index of a 0-d array.
        within = np.unravel_index(numbers, box.shape) if box.shape else ()
        indices = [i + o for i, o in zip(within, box.start, strict=True)]
        keys = np.zeros(len(numbers), np.intp)
        for i, o, c, count in zip(indices, box.start, chunks, chunks_of_box, strict=True):
            keys = keys * count + i // c - o // c
        new, at = np.unique(keys, return_index=True)
        for key in new[np.argsort(at)].tolist():
            if key in found or len(found) < MOST_CHUNKS:
                here = np.flatnonzero(keys == key)
                region = _bounds([i[here] for i in indices])
                index = tuple(int(i[here[0]]) for i in indices)
                # Copied, because records are views of memory that the next box reuses.
                at_first = slice(numbers[here[0]], numbers[here[0]] + 1)
                one, two = (values[at_first].copy().reshape(()) for values in flat)
                part = Difference(region, len(here), index, one, two)
                found[key] = _join(found[key], part) if key in found else part
    return list(found.values()) or [Difference(box, 0)]


def _bounds(indices: list[NDArray[np.intp]]) -> Region:
    return Region(tuple(int(i.min()) for i in indices), tuple(int(i.max()) + 1 for i in indices))


def _join(before: Difference, after: Difference) -> Difference:
    start = tuple(map(min, before.region.start, after.region.start))
    stop = tuple(map(max, before.region.stop, after.region.stop))
    return replace(before, region=Region(start, stop), differing=before.differing + after.differing)


def _differing(first: NDArray[Any], second: NDArray[Any]) -> Iterator[NDArray[np.intp]]:
    """Yield the positions at which two flat arrays differ, in order, a stretch at a time."""
    for start in range(0, len(first), STRETCH):
        one, two = (_bits(values[start : start + STRETCH]) for values in (first, second))
        unequal = np.asarray(one != two)
        numbers = np.flatnonzero(unequal.any(axis=1) if unequal.ndim > 1 else unequal)
        if len(numbers):
            yield numbers + start


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    """Return values as words, several to a value on a last axis where one does not do; strings as they are."""
    itemsize = values.dtype.itemsize
    if values.dtype.hasobject or values.dtype.kind == "T" or not itemsize:
        return values
    word = next(size for size in (8, 4, 2, 1) if itemsize % size == 0)
    words = values.view(np.uint8).view(f"u{word}")
    return words if word == itemsize else words.reshape(len(values), itemsize // word)


def say_value(value: NDArray[Any]) -> str:
    """Return a value, an array of no axes, for people: numbers and times as they are, text and bytes in quotes.

    >>> say_value(np.array(1.5, "f4")), say_value(np.array("a")), say_value(np.array("2024-01-01", "M8[s]"))
    ('1.5', "'a'", '2024-01-01T00:00:00')
    """
    try:
        scalar: Any = value[()]
    except SystemError:  # from Python, for text of impossible characters
        return say_bits(value)
    if isinstance(scalar, str | bytes):
        return repr(value.item())
    return str(scalar)


def say_bits(value: NDArray[Any]) -> str:
    """Return the bits of a value, those of numbers as they are written.

    >>> say_bits(np.array(258, "i2")), say_bits(np.array(b"ab"))
    ('0x0102', '0x6162')
    """
    numbers = value.dtype.kind in "biufmM"
    return "0x" + (value.byteswap() if numbers else value).tobytes().hex()


def say_both(first: NDArray[Any], second: NDArray[Any]) -> tuple[str, str]:
    """Return two values so that their texts differ: with their bits where the values read the same.

    >>> say_both(np.array(np.nan, "f4"), np.array(0x7FC00001, "u4").view("f4"))
    ('nan (0x7fc00000)', 'nan (0x7fc00001)')
    """
    one, two = say_value(first), say_value(second)
    if one != two or first.dtype.hasobject or first.dtype.kind == "T":
        return one, two
    return f"{one} ({say_bits(first)})", f"{two} ({say_bits(second)})"
