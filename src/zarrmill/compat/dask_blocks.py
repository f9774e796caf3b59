"""Values of a dask array, region by region. The only file that imports dask, and only when one is given."""

from __future__ import annotations

import itertools
import sys
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import InvalidInputError
from zarrmill.grid import Region, Shape

if TYPE_CHECKING:
    import dask.array

JOINED_BYTES = 4 * 2**20
"""Chunks smaller than this are computed together with their neighbours: one alone costs dask a millisecond."""


def is_dask_array(data: Any) -> bool:
    """Tell whether something is a dask array; where dask has not been imported there is none."""
    module = sys.modules.get("dask.array")
    return module is not None and isinstance(data, module.Array)


def longest_chunks(array: dask.array.Array) -> Shape:
    """Return the longest chunk of each axis of a dask array.

    Raises InvalidInputError for arrays whose lengths are unknown.
    """
    if any(not isinstance(n, int | np.integer) for n in array.shape):
        raise InvalidInputError(f"{array!r} has axes of unknown length. Call compute_chunk_sizes() first.")
    return tuple(max(1, *map(int, sizes)) for sizes in array.chunks)


class DaskBlocks:
    """Computes regions of a dask array in the thread that asks, and of its graph only what they need.

    Slicing the array would go through all of its tasks for every region.
    """

    def __init__(self, array: dask.array.Array) -> None:
        """Take an array; raises InvalidInputError for one whose lengths are unknown."""
        self._array = array
        self._longest = longest_chunks(array)
        self._edges = [[0, *itertools.accumulate(map(int, sizes))] for sizes in array.chunks]
        self._graph: dict[Any, Any] | None = None
        self._lock = threading.Lock()

    @property
    def chunks(self) -> Shape:
        """The longest chunk of each axis, several times along the last axes where it is small."""
        chunks = list(self._longest)
        room = JOINED_BYTES // max(1, int(np.prod(chunks)) * self._array.dtype.itemsize)
        for axis in reversed(range(len(chunks))):
            times = max(1, min(room, -(-self._edges[axis][-1] // chunks[axis])))
            chunks[axis] *= times
            room //= times
        return tuple(chunks)

    def __call__(self, region: Region) -> NDArray[Any]:
        """Return the values of a region."""
        import dask.local
        import dask.optimization

        ranges = [
            range(bisect_right(edges, a) - 1, bisect_left(edges, b))
            for edges, a, b in zip(self._edges, region.start, region.stop, strict=True)
        ]
        coords = list(itertools.product(*ranges))
        keys = [(self._array.name, *coord) for coord in coords]
        cull: Callable[..., Any] = dask.optimization.cull
        needed, _ = cull(self._tasks(), keys)
        out = np.empty(region.shape, dtype=self._array.dtype)
        for coord, block in zip(coords, dask.local.get_sync(needed, keys), strict=True):
            start = tuple(edges[i] for edges, i in zip(self._edges, coord, strict=True))
            whole = Region(start, tuple(edges[i + 1] for edges, i in zip(self._edges, coord, strict=True)))
            part = whole.intersect(region)
            if part is not None:
                out[part.slices_in(region)] = np.asarray(block)[part.slices_in(whole)]
        return out

    def _tasks(self) -> dict[Any, Any]:
        """Return all tasks by key, made when the first region is asked for."""
        import dask.base

        optimize: Callable[..., Any] = dask.base.optimize
        with self._lock:
            if self._graph is None:
                (optimized,) = optimize(self._array)
                self._graph = dict(optimized.__dask_graph__())
            return self._graph
