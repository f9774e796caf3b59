"""Measuring what a plan costs on this machine: a fraction of a second with real chunks, real codecs and the real disk.

What is measured is one core at work, and how many others want the cores; the cost model of ``plan.cost`` says what
follows for the whole plan.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.codecs.chain import CodecChain
from zarrmill.execute.chunk_files import ReadChunks, write_fully
from zarrmill.execute.encoder import Encoder
from zarrmill.execute.intermediates import open_direct
from zarrmill.execute.opening import StoredArray, encoded_chunks, open_reader
from zarrmill.execute.records import Records
from zarrmill.execute.tiles import Arena, TileBuffer, cut
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.grid import ChunkGrid, Coord, Region, Shape
from zarrmill.hierarchy import Hierarchy
from zarrmill.metadata import zarr_array
from zarrmill.plan.array_plan import ArrayPlan
from zarrmill.plan.cost import RATES, Rates
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.store import OpenedStore, new_directory

SAMPLE_BYTES = 8 * 2**20
"""Decoded bytes of a sample: more than the caches of a core hold, as in a run."""
SAMPLE_CHUNKS = 64
"""Chunks read together: enough that starting costs no more than it does in a run."""
SAMPLE_PLACES = 8
"""Places of the array that are looked at, because values seldom compress the same everywhere."""
SECONDS = 0.1
"""Seconds after which a measurement begins no further sample."""
BUSY_SECONDS = 0.05
"""Seconds in which it shows how many others want the cores; the median of three counts, because one may be unlucky."""
SAMPLE_FILES = 128
"""Keys written to find what one costs."""
TOO_LARGE = 64 * 2**20
"""Write chunks above this many bytes are not tried through zarr-python: it would take seconds and copies of them."""
_SCHEDULER = "/proc/thread-self/schedstat"


class Stopwatch:
    """Adds up the seconds that work takes while others want the cores too.

    The time on a core is multiplied by how many share it, the time in which the thread waited for its turn is left
    out, because a short measurement may be lucky, and the time in which it waited for a disk counts as it is.
    """

    def __init__(self, busy: float) -> None:
        self._busy = busy
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._start = _clocks()
        return self

    def __exit__(self, *_: object) -> None:
        wall, core, queue = (now - then for now, then in zip(_clocks(), self._start, strict=True))
        self.seconds += core * self._busy + max(0.0, wall - core - queue)


def _clocks() -> tuple[float, float, float]:
    """Return wall time, time of this thread on a core, and time in which it could have been on one, in seconds."""
    try:
        with open(_SCHEDULER, "rb") as file:
            queue = int(file.read().split()[1]) * 1e-9
    except (OSError, IndexError):
        queue = 0.0
    return time.perf_counter(), time.thread_time(), queue


def measure_busy(workers: int) -> float:
    """Return how much longer work takes because others want the cores: 1 on a machine with nothing else to do."""
    return statistics.median(_busy_now(workers) for _ in range(3))


def _busy_now(workers: int) -> float:
    data = os.urandom(2**16)
    begun, core = time.perf_counter(), time.process_time()

    def work() -> None:
        while time.perf_counter() - begun < BUSY_SECONDS:
            zlib.compress(data, 1)  # holds no lock of Python's

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(1.0, (time.perf_counter() - begun) * workers / max(1e-9, time.process_time() - core))


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading samples took."""

    decode: float
    """Seconds per decoded byte in codecs and digest."""
    touch: float
    """Seconds per chunk apart from that."""
    values: NDArray[Any]
    """Some values in the order of the array, flat."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What encoding a sample took."""

    rate: float
    """Seconds per byte before encoding."""
    ratio: float
    """Encoded bytes per byte before encoding."""
    encoded: list[Buffer]
    """Encoded chunks."""


def calibrate(plan: RechunkPlan, hierarchy: Hierarchy, opened: OpenedStore, *, folder: Path) -> Rates:
    """Return the rates of this machine, as busy as it is now, for the largest array of a plan.

    ``hierarchy`` and ``opened`` are the source; ``folder`` is on the target's disk: a few MB are written to a folder of
    their own in there, and removed. Seeks and the waiting of threads at the end of a tile are not measured.
    """
    array = max(plan.arrays, key=lambda a: a.source.nbytes, default=None)
    if array is None or not array.source.nbytes:
        return RATES
    source = StoredArray(opened, array.path, hierarchy.nodes[array.path].metadata, array.source)
    document = json.loads(dict(plan.documents)[array.path])
    place = replace(new_directory(folder), location="the target")
    target = StoredArray(place, array.path, document, array.target)
    workers = plan.processes * plan.threads
    busy = measure_busy(min(workers, os.cpu_count() or 1))
    copy = _copy_rate(busy)
    reading = _measure_reading(source, _records(array, source), busy=busy, copy=copy, digest=plan.verify == "full")
    encoding = _measure_encoding(array, target, reading.values, busy=busy, copy=copy)
    with tempfile.TemporaryDirectory(prefix=".zarrmill-calibration-", dir=folder) as name:
        write = _write_rate(Path(name), busy)
        files = array.target.shards is None and encoding.encoded
        key = _key_rate(Path(name), encoding.encoded, write=write, workers=workers) if files else RATES.key
        scratch = _scratch_rate(Path(name), busy) if plan.scratch_bytes else RATES.scratch
    encode = encoding.rate + encoding.ratio * write
    # The requests of all threads share the connections, so what one of them waits is waited by each.
    touch = reading.touch * (plan.threads if source.root is None else 1)
    return replace(RATES, decode=reading.decode, touch=touch, copy=copy, encode=encode, key=key, scratch=scratch)


def _records(array: ArrayPlan, source: StoredArray) -> Records:
    """Return the records as which a run moves the values of an array."""
    shape = array.source.shape
    if "zarr" in (array.read_route, array.write_route):
        return Records(len(shape), source.dtype)
    tiles = [tuple(min(t, n) for t, n in zip(p.tile, shape, strict=True)) for p in array.passes]
    return Records.of(source.dtype, shape, [array.source.chunks, array.target.chunks, *tiles])


def _copy_rate(busy: float) -> float:
    """Return the seconds per byte of a transposing copy."""
    values, watch = np.ones((1024, 256, 2)), Stopwatch(busy)
    out = np.zeros((256, 1024, 2))
    out[...] = 0
    with watch:
        out[...] = values.transpose(1, 0, 2)
    return watch.seconds / values.nbytes


def _samples(grid: ChunkGrid, *, chunk_nbytes: int) -> Iterator[Region]:
    """Yield boxes of neighbouring chunks from all over a grid, none larger than a sample but for a single chunk.

    >>> grid = ChunkGrid.over((8, 600), (8, 1))
    >>> [region.shape for region in _samples(grid, chunk_nbytes=64)][:2]
    [(8, 64), (8, 64)]
    """
    places = min(SAMPLE_PLACES, len(grid))
    for i in range(places):
        coord = grid.coord(len(grid) * i // places)
        left = max(1, min(SAMPLE_CHUNKS, SAMPLE_BYTES // max(1, chunk_nbytes)))
        counts = [1] * len(coord)
        for axis in reversed(range(len(coord))):
            counts[axis] = min(left, grid.counts[axis] - coord[axis])
            left //= counts[axis]
        last = tuple(c + n - 1 for c, n in zip(coord, counts, strict=True))
        yield Region(grid.region(coord).start, grid.region(last).stop)


def _measure_reading(source: StoredArray, records: Records, *, busy: float, copy: float, digest: bool) -> Reading:
    """Read samples as a run does, then decode some of them again to tell the codecs from the rest."""
    layout, reader = source.layout, open_reader(source, records=records, digest=digest)
    watch, nbytes, chunks, begun = Stopwatch(busy), 0, 0, time.perf_counter()
    regions = list(_samples(source.grid, chunk_nbytes=layout.chunk_nbytes))
    for region in regions:
        tile = _tile(records, region, None)
        # In this thread, because the watch looks at this one.
        with watch:
            chunks += reader.fill(tile, _Inline(1), 1).chunks
        nbytes += region.size * layout.itemsize
        if time.perf_counter() - begun > SECONDS:
            break
    values = np.concatenate([piece.reshape(-1) for piece in tile.pieces.values()])
    if source.driver_lacks() is not None:
        return Reading(max(0.0, watch.seconds / nbytes - copy), 0.0, values)
    decode = _decode_rate(source, busy=busy, digest=digest)
    touch = max(0.0, watch.seconds - nbytes * (decode + copy)) / chunks
    return Reading(decode, touch, values.view(np.uint8).view(source.dtype))


class _Inline(ThreadPoolExecutor):
    """A pool that works in the caller's thread."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call at once."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def _tile(records: Records, region: Region, values: NDArray[Any] | None) -> TileBuffer:
    """Return a tile over a region, filled with repeated values where some are given."""
    part = records.region(region)
    boxed = records.dtype.hasobject or records.dtype.kind == "T"
    memory = None if boxed else Arena(part.size * records.dtype.itemsize).memory
    tile = TileBuffer(part, cut(part, None), records.dtype, memory)
    for piece in tile.pieces.values():
        # Memory that nobody has touched yet costs more than it does in a run, which uses it again and again.
        piece[...] = np.zeros((), piece.dtype) if values is None else np.resize(values, piece.shape)
    return tile


def _decode_rate(source: StoredArray, *, busy: float, digest: bool) -> float:
    """Return the seconds per decoded byte in codecs and digest alone, 0 where all samples are missing."""
    chunks, chain, shares, grid = encoded_chunks(source), source.chain(), source.digest(), source.grid
    out = np.empty(source.layout.chunks, dtype=source.dtype)
    count = max(1, min(SAMPLE_CHUNKS, len(grid), SAMPLE_BYTES // out.nbytes))
    coords = [grid.coord(len(grid) * i // count) for i in range(count)]
    found = _read_samples(chunks, coords, apart=source.root is None)
    encoded = [(grid.region(coord), data) for coord, data in zip(coords, found, strict=True) if data is not None]
    watch = Stopwatch(busy)
    with watch:
        for region, data in encoded:
            values = chain.decode(data, out)
            if digest:
                shares.share(values[tuple(map(slice, region.shape))], region.start)
    return watch.seconds / (count * out.nbytes)


def _read_samples(chunks: ReadChunks, coords: list[Coord], *, apart: bool) -> list[bytes | None]:
    """Return encoded chunks; those of a store are asked for all at once, because each takes a while to come."""

    def read(coord: Coord) -> bytes | None:
        data = chunks.read([coord])[0]
        return None if data is None else bytes(data)

    return list((WORKSHOP.requests().map if apart else map)(read, coords))


def _measure_encoding(
    array: ArrayPlan, target: StoredArray, values: NDArray[Any], *, busy: float, copy: float
) -> Encoding:
    """Encode chunks of the target that are made of sample values."""
    if array.read_route == "bytes":
        return Encoding(0.0, 1.0, [])
    if target.driver_lacks() is not None:
        return _measure_zarr(array, target, values)
    layout, dtype = array.target, target.dtype
    chunk = _shrunk(layout.chunks, SAMPLE_BYTES // layout.itemsize)
    nbytes = math.prod(chunk) * layout.itemsize
    count = max(1, min(SAMPLE_CHUNKS, SAMPLE_BYTES // nbytes))
    grid = ChunkGrid.over((chunk[0] * count, *chunk[1:]) if chunk else (), chunk)
    records = Records(len(chunk), dtype)
    encoder = Encoder(CodecChain(layout.codecs, dtype=dtype, chunk=chunk), grid=grid, records=records, fill=target.fill)
    window = encoder.window(_tile(records, grid.domain, values))
    encoded: list[Buffer] = []
    watch, done, begun = Stopwatch(busy), 0, time.perf_counter()
    with watch:
        for coord in grid.coords():
            encoded += [data for data in encoder.encode(window, [coord]) if data is not None]
            done += nbytes
            if time.perf_counter() - begun > SECONDS:
                break
    return Encoding(max(0.0, watch.seconds / done - copy), sum(map(len, encoded)) / done, encoded)


def _shrunk(chunk: Shape, limit: int) -> Shape:
    """Return a chunk with its longest axes halved until it has at most ``limit`` points.

    >>> _shrunk((1000, 500), 200_000)
    (250, 500)
    """
    while math.prod(chunk) > max(1, limit):
        axis = max(range(len(chunk)), key=lambda a: chunk[a])
        chunk = (*chunk[:axis], chunk[axis] // 2, *chunk[axis + 1 :])
    return chunk


def _measure_zarr(array: ArrayPlan, target: StoredArray, values: NDArray[Any]) -> Encoding:
    """Write one write chunk through zarr-python into memory; its threads share the work, so wall time counts."""
    grid = ChunkGrid.over(array.target.shape, array.target.write_chunk)
    region = grid.region((0,) * len(array.target.shape))
    nbytes = region.size * array.target.itemsize
    if nbytes > TOO_LARGE:
        return Encoding(3 * RATES.encode, 1.0, [])
    written = zarr_array(target.document, target.opened, target.path)
    part = np.resize(values, region.shape)
    begun = time.perf_counter()
    written[region.slices] = part
    return Encoding((time.perf_counter() - begun) / nbytes, 1.0, [])


def _write_rate(folder: Path, busy: float) -> float:
    """Return the seconds per byte of writing a large file to the page cache."""
    data, watch = memoryview(bytes(SAMPLE_BYTES)), Stopwatch(busy)
    fd = os.open(folder / "large", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
    try:
        with watch:
            write_fully(fd, [data])
    finally:
        os.close(fd)
    return watch.seconds / len(data)


def _key_rate(folder: Path, encoded: list[Buffer], *, write: float, workers: int) -> float:
    """Return the seconds of one thread that a key costs apart from its bytes, while all of them create keys.

    They wait for each other at the folder, so that this is wall time.
    """
    begun = time.perf_counter()

    def create(worker: int) -> tuple[int, int]:
        files = nbytes = 0
        while files < SAMPLE_FILES // workers + 1 and time.perf_counter() - begun < SECONDS:
            fd = os.open(folder / f"{worker}.{files}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
            nbytes += write_fully(fd, [encoded[files % len(encoded)]])
            os.close(fd)
            files += 1
        return files, nbytes

    with ThreadPoolExecutor(workers) as pool:
        counts = list(pool.map(create, range(workers)))
    seconds = (time.perf_counter() - begun) * workers - sum(nbytes for _, nbytes in counts) * write
    return max(0.0, seconds) / max(1, sum(files for files, _ in counts))


def _scratch_rate(folder: Path, busy: float) -> float:
    """Return the seconds per byte of a round trip past the page cache."""
    memory, watch = Arena(SAMPLE_BYTES).memory, Stopwatch(busy)
    memory[...] = 1
    with watch:
        for flags in (os.O_WRONLY | os.O_CREAT, os.O_RDONLY):
            fd = open_direct(folder / "scratch", flags)
            try:
                _ = os.pwrite(fd, memory.data, 0) if flags & os.O_CREAT else os.preadv(fd, [memory.data], 0)
            finally:
                os.close(fd)
    return watch.seconds / memory.nbytes
