"""The sources: realistic values with a fixed seed, written once, chunk by chunk, as Zarr v3 and v2 at once."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numcodecs import Zstd
from numpy.typing import NDArray

from benchmarks.metadata import ZSTD, write_sources
from benchmarks.sizes import ArrayCase, Shape, Size

SEED = 20240607
MISSING = 0.08
"""Share of measurements that are NaN."""
MANTISSA_BITS = 11
"""Bits kept of each mantissa: 3.3 significant decimals."""
VERSION = 2
"""Raise it when other values or other metadata are written: sources made before are made anew."""


@dataclass(frozen=True)
class Source:
    """Where the source of a size lies."""

    v3: Path
    """The Zarr v3 store."""
    v2: Path
    """The Zarr v2 store: hard links to the same encoded chunks."""
    chunks: int
    """Chunk files in either."""
    encoded: int
    """Bytes of all chunk files."""


def prepare_source(size: Size, folder: Path) -> Source:
    """The source of a size below `folder`, written when it is not there or was made by another definition."""
    stamp = hashlib.sha256(json.dumps([VERSION, SEED, size.to_json()["arrays"]]).encode()).hexdigest()[:12]
    root = folder / f"{size.name}-{stamp}"
    complete = root / "complete.json"
    if not complete.exists():
        shutil.rmtree(root, ignore_errors=True)
        write_sources(size, root / "v3", root / "v2")
        sizes = [_write_array(case, root, number) for number, case in enumerate(size.arrays)]
        chunks, encoded = map(sum, zip(*sizes, strict=True))
        complete.write_text(json.dumps({"chunks": chunks, "encoded": encoded}))
    return Source(root / "v3", root / "v2", **json.loads(complete.read_text()))


def _write_array(case: ArrayCase, root: Path, number: int) -> tuple[int, int]:
    """Write every chunk of an array; return how many there are and how many bytes they have."""
    constants = _object_constants(case, number)
    codec = Zstd(level=ZSTD["configuration"]["level"])

    def write(index: Shape) -> int:
        encoded = codec.encode(_chunk(case, index, number, constants))
        v3 = root / "v3" / case.path / "c" / Path(*map(str, index))
        v3.parent.mkdir(parents=True, exist_ok=True)
        v3.write_bytes(encoded)
        os.link(v3, root / "v2" / case.path / ".".join(map(str, index)))
        return len(encoded)

    grid = [range(-(-extent // step)) for extent, step in zip(case.shape, case.source_chunks, strict=True)]
    sizes = list(_bounded_map(write, itertools.product(*grid)))
    return len(sizes), sum(sizes)


def _bounded_map(function: Callable[[Shape], int], items: Iterable[Shape]) -> Iterator[int]:
    """`map` on all cores with a few items under way, so that memory stays bounded."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        waiting: deque[Future[int]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _object_constants(case: ArrayCase, number: int) -> NDArray[np.float64]:
    """Mean flux, relative amplitude, period and phase of every object; empty for a grid."""
    if case.kind == "grid":
        return np.empty((0, 4))
    constants = np.random.default_rng([SEED, number]).random((case.shape[0], 4))
    constants[:, 0] = 10 ** (1 + 3 * constants[:, 0])
    constants[:, 1:] *= (0.3, 90, 2 * np.pi)
    constants[:, 1:] += (0.01, 3, 0)
    return constants


def _chunk(case: ArrayCase, index: Shape, number: int, constants: NDArray[np.float64]) -> NDArray[np.floating]:
    """The values of one source chunk, whole also at the edge; the same whoever computes it and when."""
    generator = np.random.default_rng([SEED, number, *index])
    start = [i * step for i, step in zip(index, case.source_chunks, strict=True)]
    if case.kind == "grid":
        values = _grid(case, start, generator)
        missing = generator.random(values.shape, dtype="f4") < MISSING
    else:
        values = _light_curves(case, start, generator, constants)
        missing = generator.random(values.shape[:-1], dtype="f4") < MISSING
    values = round_mantissas(values.astype(case.dtype))
    values[missing] = np.nan
    return values


def round_mantissas(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Round to the nearest value whose mantissa has `MANTISSA_BITS` bits, as archives do before they compress."""
    unsigned = np.dtype(f"u{values.itemsize}").type
    dropped = np.finfo(values.dtype).nmant - MANTISSA_BITS
    bits = values.view(unsigned) + unsigned(1 << (dropped - 1))
    rounded: NDArray[np.floating] = (bits & ~unsigned((1 << dropped) - 1)).view(values.dtype)
    return rounded


def _light_curves(
    case: ArrayCase, start: list[int], generator: np.random.Generator, constants: NDArray[np.float64]
) -> NDArray[np.floating]:
    """A periodic flux with noise of 5 % in column 0, its error in column 1."""
    shape = case.source_chunks
    rows = np.resize(constants[start[0] : start[0] + shape[0]], (shape[0], 4))
    mean, amplitude, period, phase = (column.reshape(-1, *[1] * (len(shape) - 2)) for column in rows.T)
    time = np.arange(start[1], start[1] + shape[1]).reshape(1, -1, *[1] * (len(shape) - 3))
    curve = mean * (1 + amplitude * np.sin(2 * np.pi * time / period + phase))
    noise = generator.standard_normal(shape, dtype="f4")
    return np.stack([curve * (1 + 0.05 * noise[..., 0]), mean * (0.04 + 0.01 * np.abs(noise[..., 1]))], axis=-1)


def _grid(case: ArrayCase, start: list[int], generator: np.random.Generator) -> NDArray[np.floating]:
    """A smooth temperature field that moves with time, with noise."""
    time, lat, lon = np.ogrid[
        tuple(slice(first, first + step) for first, step in zip(start, case.source_chunks, strict=True))
    ]
    field = 300 - 45 * np.sin(np.pi * (lat / case.shape[1] - 0.5)) ** 2
    field = field + 6 * np.sin(2 * np.pi * (3 * lon / case.shape[2] + time / 24))
    noisy: NDArray[np.floating] = field + 0.3 * generator.standard_normal(case.source_chunks, dtype="f4")
    return noisy
