"""Memory in the order of the target's chunks, and the one strided copy into it."""

from __future__ import annotations

import itertools
import math
import mmap

import numpy as np
from numpy.typing import NDArray

from benchmarks.sizes import Shape


class Arena:
    """Every chunk of a slab, each contiguous, in one mapping that is reused from slab to slab."""

    def __init__(self, slab: Shape, chunk: Shape, dtype: str) -> None:
        self.grid = tuple(-(-extent // step) for extent, step in zip(slab, chunk, strict=True))
        self.padded = tuple(axis for axis, extent in enumerate(slab) if extent % chunk[axis])
        self.chunk = chunk
        shape = self.grid + chunk
        memory = mmap.mmap(-1, math.prod(shape) * np.dtype(dtype).itemsize, flags=mmap.MAP_PRIVATE)
        memory.madvise(mmap.MADV_HUGEPAGE)
        self.values: NDArray[np.floating] = np.frombuffer(memory, dtype).reshape(shape)
        self.encoded_rows = self.values.reshape(math.prod(self.grid), -1).view("u1")

    def pad(self) -> None:
        """Set the chunks that reach over the edge of the array to the fill value."""
        for axis in self.padded:
            self.values[(slice(None),) * axis + (-1,)] = np.nan

    def place(self, values: NDArray[np.floating], start: Shape) -> None:
        """Copy a region that begins at `start` (relative to the slab) to where the target's chunks want it."""
        rank = len(self.chunk)
        interleaved = self.values.transpose([axis + part for axis in range(rank) for part in (0, rank)])
        axes = [
            _runs(first, first + extent, step)
            for first, extent, step in zip(start, values.shape, self.chunk, strict=True)
        ]
        for runs in itertools.product(*axes):
            source = values[tuple(local for local, _, _ in runs)]
            target = interleaved[tuple(part for _, grid, inside in runs for part in (grid, inside))]
            _copy(target, source.reshape(target.shape))


def _runs(start: int, stop: int, step: int) -> list[tuple[slice, slice, slice]]:
    """Split a range where chunks begin: (slice of the region, of the grid, within the chunk) per run.

    5 to 45 in steps of 20: 5-20 in chunk 0, none whole but 20-40 (chunk 1), 40-45 in chunk 2.
    """
    cuts = [start]
    if start % step:
        cuts.append(min(stop, start + step - start % step))
    cuts.extend([cuts[-1] + (stop - cuts[-1]) // step * step, stop])
    runs = []
    for first, last in itertools.pairwise(sorted(set(cuts))):
        grid = slice(first // step, -(-last // step))
        inside = slice(first % step, first % step + last - first) if grid.stop - grid.start == 1 else slice(None)
        runs.append((slice(first - start, last - start), grid, inside))
    return runs


def _copy(target: NDArray[np.floating], source: NDArray[np.floating]) -> None:
    """Copy with the longest run that is contiguous on both sides as one item: an inner loop of two values is slow."""
    axis, run = target.ndim, target.itemsize
    while axis and (target.shape[axis - 1] == 1 or target.strides[axis - 1] == source.strides[axis - 1] == run):
        axis -= 1
        run *= target.shape[axis]
    item = np.dtype("c16") if run == 16 else np.dtype(f"V{run}")
    views = [part.reshape(*part.shape[:axis], -1).view(item)[..., 0] for part in (target, source)]
    np.copyto(views[0], views[1])
