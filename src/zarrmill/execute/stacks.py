"""Small chunks that lie side by side, moved as one box: a small chunk costs less to move than to begin with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.grid import ChunkGrid, Coord, Region, Shape
from zarrmill.plan.memory import moved_in_runs


@dataclass(frozen=True, slots=True)
class Run:
    """Chunks that differ along one axis alone, by one each: together they are a box."""

    axis: int
    """The axis along which they lie."""
    coords: list[Coord]
    """Their coordinates."""

    def box(self, chunks: Shape) -> Region:
        """Return what the chunks cover, what sticks out of the array included.

        >>> Run(1, [(2, 3), (2, 4)]).box((10, 5))
        Region(start=(20, 15), stop=(30, 25))
        """
        pairs = list(zip(self.coords[0], self.coords[-1], chunks, strict=True))
        return Region(tuple([a * c for a, _, c in pairs]), tuple([(b + 1) * c for _, b, c in pairs]))


def run_axis(grid: ChunkGrid, chunk_nbytes: int) -> int | None:
    """Return the axis along which neighbours in C order lie, None where chunks are better moved one by one.

    >>> run_axis(ChunkGrid.over((8, 8, 2), (4, 1, 2)), 100)
    1
    """
    if not moved_in_runs(chunk_nbytes):
        return None
    return next((a for a, count in reversed(list(enumerate(grid.counts))) if count > 1), None)


def runs(coords: list[Coord], axis: int) -> Iterator[Run]:
    """Yield coordinates in C order as runs along the last axis on which they differ.

    >>> [run.coords for run in runs([(0, 2), (0, 3), (1, 0)], 1)]
    [[(0, 2), (0, 3)], [(1, 0)]]
    """
    if coords and coords[0][:axis] == coords[-1][:axis] and coords[-1][axis] - coords[0][axis] == len(coords) - 1:
        yield Run(axis, coords)  # as nearly always, and without a look at each
        return
    first = 0
    for i in range(1, len(coords) + 1):
        if i == len(coords) or coords[i][:axis] != coords[i - 1][:axis] or coords[i][axis] != coords[i - 1][axis] + 1:
            yield Run(axis, coords[first:i])
            first = i


def as_box(stack: NDArray[Any], axis: int) -> NDArray[Any]:
    """Return chunks stacked on a new first axis side by side along an axis: a view where memory allows one.

    >>> as_box(np.arange(12).reshape(3, 2, 2), 1)
    array([[ 0,  1,  4,  5,  8,  9],
           [ 2,  3,  6,  7, 10, 11]])
    """
    chunk = stack.shape[1:]
    shape = (*chunk[:axis], len(stack) * chunk[axis], *chunk[axis + 1 :])
    return np.moveaxis(stack, 0, axis).reshape(shape)


def as_stack(box: NDArray[Any], axis: int, count: int) -> NDArray[Any]:
    """Return the chunks that lie side by side in a box, stacked on a new first axis, each in C order.

    >>> as_stack(np.arange(8).reshape(2, 4), 1, 2).tolist()
    [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    """
    shape = box.shape
    split = box.reshape(*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :])
    return np.ascontiguousarray(np.moveaxis(split, axis, 0))
