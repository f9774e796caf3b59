"""Source files to arena, in batches of chunks that lie side by side."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator

import numpy as np
from numcodecs import zstd

from benchmarks.floor.arena import Arena
from benchmarks.floor.work import CORES, Team
from benchmarks.sizes import ArrayCase, Shape

BATCH_BYTES = 512 << 10
"""Decoded bytes of a batch: fits the second-level cache beside what the copy touches."""
BATCHES_PER_CORE = 4
"""At least so many, for the cores to end together."""


def encoded_bound(nbytes: int) -> int:
    """A size that no encoded chunk exceeds."""
    return nbytes + nbytes // 64 + 4096


def decode_slab(case: ArrayCase, folder: str, rows: range, *, arena: Arena, team: Team) -> None:
    """Decode the source chunks of the given rows of axis 0 and place them."""
    batches, length = _batches(case, rows)
    chunk, last = case.source_chunks, len(case.shape)
    along = _batch_axis(case)

    def worker(shared: Iterator[list[Shape]]) -> None:
        scratch = np.empty((length, *chunk), case.dtype)
        encoded = bytearray(encoded_bound(scratch[0].nbytes))
        view = memoryview(encoded)
        for batch in shared:
            for slot, index in enumerate(batch):
                size = read_into(f"{folder}/c/{'/'.join(map(str, index))}", view)
                zstd.decompress(view[:size], scratch[slot])
            start = tuple(i * step for i, step in zip(batch[0], chunk, strict=True))
            values = scratch[0] if length == 1 else np.moveaxis(scratch[: len(batch)].squeeze(along + 1), 0, along)
            inside = tuple(slice(case.shape[axis] - start[axis]) for axis in range(last))
            arena.place(values[inside], (start[0] - rows.start, *start[1:]))

    team.share(batches, worker)


def read_into(path: str, buffer: memoryview) -> int:
    """Fill the buffer from the file; return its size."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.readv(descriptor, [buffer])
    finally:
        os.close(descriptor)


def _batch_axis(case: ArrayCase) -> int:
    """The axis along which a batch runs: the last that has more than one source chunk."""
    grid = [-(-extent // step) for extent, step in zip(case.shape, case.source_chunks, strict=True)]
    return max((axis for axis, count in enumerate(grid) if count > 1), default=0)


def _batches(case: ArrayCase, rows: range) -> tuple[list[list[Shape]], int]:
    """Runs of neighbouring source chunks, and the longest length of a run."""
    along = _batch_axis(case)
    step = case.source_chunks[0]
    axes = [range(rows.start // step, -(-rows.stop // step))]
    axes += [range(-(-extent // chunk)) for extent, chunk in zip(case.shape[1:], case.source_chunks[1:], strict=True)]
    total = math.prod(map(len, axes))
    length = max(
        1, min(BATCH_BYTES // (math.prod(case.source_chunks) * case.itemsize), total // (BATCHES_PER_CORE * CORES))
    )
    if case.source_chunks[along] > 1:
        length = 1  # merging two axes of the scratch would copy
    groups = itertools.product(*(axis if i != along else axis[::length] for i, axis in enumerate(axes)))
    return [
        [
            (*first[:along], position, *first[along + 1 :])
            for position in axes[along][first[along] - axes[along].start :][:length]
        ]
        for first in groups
    ], length
