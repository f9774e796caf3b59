"""The work on windows as blocks: which channels ever hold a value, then EEG and fNIRS, whole chunks of windows each."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.chain import CodecChain
from zarrmill.execute.fence import Fence
from zarrmill.execute.keys import add_terms, key_term
from zarrmill.execute.sinks import FileSinks
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.grid import ceil_div
from zarrmill.keyspace import Buffer, KeySpace
from zarrmill.layout import ArrayLayout
from zarrmill.plan.model import Advance, Block, BlockResult
from zarrmill.recordings.windows.eeg_stream import EegJob, read_eeg
from zarrmill.recordings.windows.fnirs_stream import FnirsJob, read_fnirs
from zarrmill.recordings.windows.frame_source import FrameSource, open_frames
from zarrmill.recordings.windows.window_store import Scheme, chunk_key

Kind = Literal["scan", "eeg", "fnirs"]
EEG_FRAMES = 7000
"""Frames of EEG made at once: 210 s, so that the 20 s read beyond either end cost a fifth, in 100 MB of memory."""
FNIRS_FRAMES = 1000
"""Frames of fNIRS in a block, 2 GB decoded: what a kill costs, and how often the end of a block is waited for."""
HDF5_CHUNKS = 16
"""Rows of chunks that a block spans at least, so that those at its ends, decoded twice, cost a sixteenth."""


@dataclass(frozen=True, slots=True)
class WindowBlock:
    """What a block does: windows, or frames for a scan, from one up to another."""

    kind: Kind
    """What is made."""
    start: int
    """First window or frame."""
    stop: int
    """The one after the last."""


@dataclass(frozen=True, slots=True)
class WindowStage:
    """Blocks of equal length; a block of windows owns whole chunks."""

    name: str
    """What is done, for people."""
    parts: tuple[tuple[Kind, int, int, int], ...]
    """Kinds of blocks: what is made, how many windows or frames, how many in a block, weight of one."""

    @property
    def weight(self) -> int:
        """Bytes that are decoded, about."""
        return sum(count * weight for _, count, _, weight in self.parts)

    def __len__(self) -> int:
        return sum(ceil_div(count, length) for _, count, length, _ in self.parts)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks in order."""
        for kind, count, length, weight in self.parts:
            for start in range(0, count, length):
                stop = min(start + length, count)
                yield Block(f"{kind}:{start}:{stop}", WindowBlock(kind, start, stop), (stop - start) * weight)


@dataclass(frozen=True, slots=True)
class WindowStages:
    """Stages that are run one after the other."""

    stages: Sequence[WindowStage]
    """The stages."""


@dataclass(frozen=True, slots=True, eq=False)
class SignalTarget:
    """Where a signal is written."""

    keys: KeySpace
    """Keys of the store or its draft."""
    path: str
    """Path of the array."""
    layout: ArrayLayout
    """How it lies."""
    scheme: Scheme = "."
    """How its chunks are named."""
    fence: Fence | None = None
    """What keeps late blocks out where one may outlive its run."""

    def put(self, key: str, data: Buffer) -> None:
        """Write a key of the array, whole."""
        if self.fence is None:
            self.keys.put(f"{self.path}/{key}", data)
            return
        sink = FileSinks(Path(self.keys.location) / self.path, self.fence).open(key)
        try:
            sink.write([data])
        except BaseException:
            sink.abandon()
            raise
        sink.close()


@dataclass(frozen=True, slots=True, eq=False)
class WindowOperation:
    """Does a block. It may run twice: it writes the same keys with the same bytes."""

    threads: int
    """Threads in a process."""
    scan: FrameSource | None = None
    """fNIRS frames whose channels are to be found."""
    eeg: tuple[EegJob, SignalTarget] | None = None
    """What is to be made of EEG, and where it goes."""
    fnirs: tuple[FnirsJob, SignalTarget] | None = None
    """What is to be made of fNIRS, and where it goes."""

    def __call__(self, block: Block, advance: Advance, /) -> BlockResult:
        """Do one block."""
        meter, what = WORKSHOP.measure(), block.payload
        result: BlockResult = getattr(self, f"_do_{what.kind}")(block, advance)
        facts = {**result.facts, "memory": str(meter.now()), "peak": str(meter.peak())}
        return replace(result, facts=facts)

    def part_for(self, block: Block) -> WindowOperation:
        """Return what another process needs for one block."""
        kinds = {kind: getattr(self, kind) for kind in ("scan", "eeg", "fnirs") if kind == block.payload.kind}
        return WindowOperation(self.threads, **kinds)

    def _do_scan(self, block: Block, advance: Advance) -> BlockResult:
        """Find the channels that hold a finite value in some of the frames."""
        assert self.scan is not None
        what, found = block.payload, None
        weight = block.weight // (what.stop - what.start)
        with self.scan.open() as file:
            reader = open_frames(file, self.scan, pool=self._pool)
            for piece in reader.find_finite(what.start, what.stop):
                found = piece.made if found is None else found | piece.made
                advance(weight * len(piece.frames))
        return BlockResult(block.id, {"frames_read": what.stop - what.start}, {"ever": pack_bits(found)})

    def _do_eeg(self, block: Block, advance: Advance) -> BlockResult:
        """Make some windows of EEG."""
        assert self.eeg is not None
        (job, target), what = self.eeg, block.payload
        with job.source.open() as file:
            windows = read_eeg(job, open_frames(file, job.source, pool=self._pool), what.start, what.stop)
        finite = np.isfinite(windows)
        writer = _ChunkWriter(target, self._pool)
        for start in range(what.start, what.stop, target.layout.chunks[0]):
            writer.put(start, windows[start - what.start : start - what.start + target.layout.chunks[0]])
        counts, facts = writer.finish()
        facts["ever"] = pack_bits(np.asarray(finite.any(axis=(0, 2))))
        facts["finite"] = pack_bits(np.asarray(np.any(finite.all(axis=2), axis=1)))
        return BlockResult(block.id, {**counts, "windows": len(windows)}, facts)

    def _do_fnirs(self, block: Block, advance: Advance) -> BlockResult:
        """Make some windows of fNIRS, chunk by chunk: the next is read while one is encoded and written."""
        assert self.fnirs is not None
        (job, target), what = self.fnirs, block.payload
        ever = np.zeros(len(job.channels), dtype=bool)
        always = np.ones(len(job.channels), dtype=bool)
        there: list[NDArray[np.bool_]] = []
        writer, length = _ChunkWriter(target, self._pool), target.layout.chunks[0]
        weight = block.weight // (what.stop - what.start)
        with job.source.open() as file:
            reader = open_frames(file, job.source, pool=self._pool)
            start = what.start
            for windows in read_fnirs(job, reader, what.start, what.stop, chunk=length):
                stop = start + len(windows)
                finite = np.isfinite(windows)
                ever |= finite.any(axis=0)
                always &= finite[job.frames[start:stop] >= 0].all(axis=0)
                there.append(np.asarray(finite.any(axis=1)))
                writer.put(start, windows)
                advance(weight * (stop - start))
                start = stop
        counts, facts = writer.finish()
        facts |= {"ever": pack_bits(ever), "always": pack_bits(always), "finite": pack_bits(np.concatenate(there))}
        return BlockResult(block.id, {**counts, "windows": what.stop - what.start}, facts)

    @property
    def _pool(self) -> ThreadPoolExecutor:
        return WORKSHOP.pool(self.threads)


class _ChunkWriter:
    """Encodes and puts chunks, one of them while the next is read."""

    def __init__(self, target: SignalTarget, pool: ThreadPoolExecutor) -> None:
        layout = target.layout
        self._target = target
        self._pool = pool
        self._chain = CodecChain(layout.codecs, dtype=np.dtype(layout.dtype), chunk=layout.chunks)
        self._under_way: Future[tuple[int, int]] | None = None
        self._terms = 0
        self._counts = {"bytes_written": 0, "keys_written": 0, "keys_empty": 0}

    def put(self, start: int, windows: NDArray[Any]) -> None:
        """Take the windows of a chunk, which begins at a window."""
        self._wait()
        if np.isnan(windows).all():
            # Fill values need no key.
            self._counts["keys_empty"] += 1
            return
        number = start // self._target.layout.chunks[0]
        self._under_way = self._pool.submit(self._encode_and_put, number, windows)

    def _encode_and_put(self, number: int, windows: NDArray[Any]) -> tuple[int, int]:
        chunk = self._target.layout.chunks
        if windows.shape != chunk:
            whole = np.full(chunk, np.nan, dtype=windows.dtype)
            whole[: len(windows)] = windows
            windows = whole
        data = self._chain.encode(windows)
        key = chunk_key((number, *[0] * (len(chunk) - 1)), self._target.scheme)
        self._target.put(key, data)
        return key_term(f"{self._target.path}/{key}", len(data)), len(data)

    def _wait(self) -> None:
        if self._under_way is not None:
            term, nbytes = self._under_way.result()
            self._under_way = None
            self._terms = add_terms(self._terms, term)
            self._counts["bytes_written"] += nbytes
            self._counts["keys_written"] += 1

    def finish(self) -> tuple[dict[str, int], dict[str, str]]:
        """Return figures and the fingerprint of what was written, when all of it is."""
        self._wait()
        return dict(self._counts), {"terms": f"{self._terms:x}"}


def eeg_block(layout: ArrayLayout, *, chunk_frames: int, frames_per_window: int) -> int:
    """Return the windows of a block of EEG: whole chunks."""
    wanted = max(EEG_FRAMES, HDF5_CHUNKS * chunk_frames) // frames_per_window
    return ceil_div(max(1, wanted), layout.chunks[0]) * layout.chunks[0]


def fnirs_block(layout: ArrayLayout, *, chunk_frames: int, frames_per_window: float) -> int:
    """Return the windows of a block of fNIRS: whole chunks."""
    wanted = max(FNIRS_FRAMES, HDF5_CHUNKS * chunk_frames) / max(frames_per_window, 1e-3)
    return max(1, round(wanted / layout.chunks[0])) * layout.chunks[0]


def scan_block(chunk_frames: int) -> int:
    """Return the frames of a block of a scan: whole chunks of the file."""
    return ceil_div(FNIRS_FRAMES, chunk_frames) * chunk_frames


def pack_bits(bits: NDArray[np.bool_] | None) -> str:
    """Return bits as short text.

    >>> unpack_bits(pack_bits(np.array([True, False, True])), 3).tolist()
    [True, False, True]
    """
    packed = np.packbits(np.zeros(0, dtype=bool) if bits is None else bits)
    return base64.b85encode(zlib.compress(packed.tobytes(), 9)).decode()


def unpack_bits(text: str, count: int) -> NDArray[np.bool_]:
    """Return the bits that ``pack_bits`` made text of."""
    packed = np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype=np.uint8)
    return np.unpackbits(packed, count=count).astype(bool)
