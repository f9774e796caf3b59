"""The decoding of a target: what any full check of what was written has to pay."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import google_crc32c
import numpy as np
from numcodecs import zstd

from benchmarks.floor.decode import encoded_bound, read_into
from benchmarks.floor.work import Team
from benchmarks.sizes import ArrayCase, Layout, Size

CHECKSUM = 4
"""Bytes of a crc32c."""


def decode_target_seconds(size: Size, root: str, layout: Layout) -> float:
    """Wall time of reading and decoding every chunk of the target on all cores, checksums included."""
    team = Team()
    start = time.perf_counter()
    for case in size.arrays:
        keys = [entry.path for entry in os.scandir(Path(root, case.path)) if entry.name.startswith("c.")]
        team.share(keys, _reader(case, layout))
    seconds = time.perf_counter() - start
    team.close()
    return seconds


def _reader(case: ArrayCase, layout: Layout) -> Callable[[Iterator[str]], None]:
    largest = encoded_bound(math.prod(case.write_chunk(layout)) * case.itemsize)

    def worker(shared: Iterator[str]) -> None:
        values = np.empty(case.chunks, case.dtype)
        buffer = memoryview(bytearray(largest))
        for path in shared:
            stored = buffer[: read_into(path, buffer)]
            for chunk in _inner_chunks(case, stored) if layout == "shards" else [stored]:
                zstd.decompress(chunk, values)

    return worker


def _inner_chunks(case: ArrayCase, shard: memoryview) -> Iterator[bytes]:
    """The encoded inner chunks of a shard, checked."""
    count = math.prod(case.shards) // math.prod(case.chunks)
    index = np.frombuffer(shard[-16 * count - CHECKSUM : -CHECKSUM], "<u8").reshape(count, 2)
    for offset, length in index[index[:, 0] != 2**64 - 1].tolist():
        chunk = bytes(shard[offset : offset + length - CHECKSUM])  # the checksum takes no memoryview
        stored = shard[offset + length - CHECKSUM : offset + length]
        if google_crc32c.value(chunk) != int.from_bytes(stored, "little"):
            raise ValueError("a shard of the floor has a wrong checksum")
        yield chunk
