"""The blocks of a block-by-block copy, for the contenders that are loops and for the comparison."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from benchmarks.sizes import Shape


def block_shape(shape: Shape, source_chunks: Shape, write_chunk: Shape, *, itemsize: int, budget: int) -> Shape:
    """The largest useful block of whole write chunks within `budget` bytes.

    An axis grows, last one first, towards the least common multiple of both layouts: there no source chunk is decoded
    for two blocks. (5000, 1, 8, 2) to shards (1000, 1200, 8, 2) of f4 with 400 MiB gives (5000, 1200, 8, 2).
    """
    block = [min(chunk, extent) for chunk, extent in zip(write_chunk, shape, strict=True)]
    for axis in reversed(range(len(shape))):
        aligned = min(shape[axis], math.lcm(source_chunks[axis], write_chunk[axis]))
        wanted = -(-aligned // block[axis])
        affordable = budget // (math.prod(block) * itemsize)
        block[axis] = min(aligned, block[axis] * max(1, min(wanted, affordable)))
    return tuple(block)


def blocks(shape: Shape, block: Shape) -> Iterator[tuple[slice, ...]]:
    """Every block of the array, the last axis fastest; each is a tuple of slices with plain ends."""
    axes = [
        [slice(start, min(start + step, extent)) for start in range(0, extent, step)]
        for extent, step in zip(shape, block, strict=True)
    ]
    return itertools.product(*axes)
