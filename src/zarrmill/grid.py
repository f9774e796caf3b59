"""Arithmetic of regions and chunk grids: integers in, integers out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

LONG_AXIS = 2**14
"""Boxes of an axis up to which their indices are held at once: about half a mebibyte."""
Shape = tuple[int, ...]
Coord = tuple[int, ...]


def ceil_div(a: int, b: int) -> int:
    """Return a / b rounded up.

    >>> ceil_div(7, 2)
    4
    """
    return -(-a // b)


def round_up(a: int, b: int) -> int:
    """Return the smallest multiple of b that is not below a.

    >>> round_up(7, 4)
    8
    """
    return ceil_div(a, b) * b


@dataclass(frozen=True, slots=True)
class Region:
    """A half-open box of array indices; a region of no axes is the one point of a 0-d array.

    >>> Region((0, 10), (5, 20)).shape
    (5, 10)
    """

    start: Shape
    """First index per axis."""
    stop: Shape
    """Index after the last per axis."""

    @classmethod
    def whole(cls, shape: Shape) -> Region:
        """Return the region of a whole array."""
        return cls((0,) * len(shape), shape)

    @property
    def shape(self) -> Shape:
        """Length per axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The region as an index into the whole array."""
        return tuple(map(slice, self.start, self.stop))

    def slices_in(self, outer: Region) -> tuple[slice, ...]:
        """Return the region as an index into an array that holds just ``outer``."""
        return tuple(slice(a - o, b - o) for a, b, o in zip(self.start, self.stop, outer.start, strict=True))

    def intersect(self, other: Region) -> Region | None:
        """Return the common part, or None where there is none.

        >>> Region((0,), (5,)).intersect(Region((3,), (9,)))
        Region(start=(3,), stop=(5,))
        """
        start = tuple(map(max, self.start, other.start))
        stop = tuple(map(min, self.stop, other.stop))
        return Region(start, stop) if all(a < b for a, b in zip(start, stop, strict=True)) else None

    def __str__(self) -> str:
        return "[" + ", ".join(f"{a}:{b}" for a, b in zip(self.start, self.stop, strict=True)) + "]"


@dataclass(frozen=True, slots=True)
class ChunkGrid:
    """The regular grid of boxes of shape ``chunks`` that covers a region; the last box of an axis may be shorter.

    The grid starts at the region's first index, so that grids of sub-boxes are written the same way.

    >>> grid = ChunkGrid.over((10, 4), (4, 4))
    >>> grid.counts, len(grid), grid.region((2, 0))
    ((3, 1), 3, Region(start=(8, 0), stop=(10, 4)))
    """

    domain: Region
    """What the grid covers."""
    chunks: Shape
    """Shape of a box, at least 1 per axis."""

    @classmethod
    def over(cls, shape: Shape, chunks: Shape) -> ChunkGrid:
        """Return the grid over a whole array."""
        return cls(Region.whole(shape), chunks)

    @property
    def counts(self) -> Shape:
        """Number of boxes per axis; 0 where the axis has no length."""
        return tuple(ceil_div(n, c) for n, c in zip(self.domain.shape, self.chunks, strict=True))

    def __len__(self) -> int:
        return math.prod(self.counts)

    def region(self, coord: Coord) -> Region:
        """Return one box, clipped to the domain."""
        start = tuple(o + i * c for o, i, c in zip(self.domain.start, coord, self.chunks, strict=True))
        stop = tuple(min(a + c, e) for a, c, e in zip(start, self.chunks, self.domain.stop, strict=True))
        return Region(start, stop)

    def box(self, region: Region) -> Region:
        """Return the coordinates of the boxes that touch ``region`` as a region of coordinates."""
        origin = self.domain.start
        start = tuple((a - o) // c for a, o, c in zip(region.start, origin, self.chunks, strict=True))
        stop = tuple(ceil_div(b - o, c) for b, o, c in zip(region.stop, origin, self.chunks, strict=True))
        return Region(start, stop)

    def coords(self, region: Region | None = None) -> Iterator[Coord]:
        """Yield the coordinates of the boxes that touch ``region`` (all by default) in C order."""
        box = self.box(region) if region is not None else Region.whole(self.counts)
        yield from _product([range(a, b) for a, b in zip(box.start, box.stop, strict=True)])

    def coord(self, index: int) -> Coord:
        """Return the coordinate of the box that is ``index``-th in C order.

        >>> ChunkGrid.over((10, 4), (4, 2)).coord(3)
        (1, 1)
        """
        coord = []
        for count in reversed(self.counts):
            index, i = divmod(index, count)
            coord.append(i)
        return tuple(reversed(coord))


def _product(axes: list[range]) -> Iterator[Coord]:
    """Yield all coordinates in C order, never holding those of a long axis, as ``itertools.product`` would."""
    long = next((a for a, axis in enumerate(axes) if len(axis) > LONG_AXIS), None)
    if long is None:
        yield from itertools.product(*axes)
        return
    for before in itertools.product(*axes[:long]):
        for i in axes[long]:
            for after in _product(axes[long + 1 :]):
                yield (*before, i, *after)


def touches(shape: int, chunk: int, tile: int) -> int:
    """Return how many (tile, chunk) pairs of one axis overlap, tiles and chunks both counted from 0.

    Divided by the number of chunks this is how often each chunk is touched when the axis is read tile by tile.

    >>> touches(12, 4, 6), touches(12, 4, 8)
    (4, 3)
    """
    if not shape:
        return 0
    period = math.lcm(chunk, tile)
    full, rest = divmod(shape, period)
    per_period = period // chunk + period // tile - 1
    if not rest:
        return full * per_period
    # The common boundaries inside the rest are none, because it is shorter than a period.
    return full * per_period + ceil_div(rest, chunk) + ceil_div(rest, tile) - 1
