"""What people are told of a plan before they run it: passes, blocks, bytes, keys, memory, and seconds where known.

Bytes are decoded bytes, because nothing is read that could tell how far they compress.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.grid import ChunkGrid, Shape, touches
from zarrmill.plan.array_plan import ArrayPlan, Pass
from zarrmill.plan.cost import Rates, pass_seconds, scratch_seconds
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.plan.requests import PlannedRequests, plan_requests

_LEVELS = ("level", "clevel", "acceleration")
"""Settings that follow a codec's name."""


@dataclass(frozen=True, slots=True)
class PassReport:
    """One pass over one array."""

    reads: str
    """Where values come from: "stored" is the source, "scratch" the intermediate of the pass before."""
    writes: str
    """Where they go: "stored" is the target, "scratch" the next intermediate."""
    kind: str
    """Both in words: "source to target", "source to scratch", "scratch to target"."""
    tile: Shape
    """What is held in memory at once."""
    block: Shape
    """What one block covers."""
    blocks: int
    """Blocks in all independent boxes."""
    buffers: int
    """Tiles in memory."""
    threads: int
    """Threads of each process."""
    projected_mem: int
    """Bound of the memory of a block, in bytes per process."""


@dataclass(frozen=True, slots=True)
class ArrayPlanReport:
    """What happens to one array."""

    path: str
    """Path below the root, "" for the root itself."""
    shape: Shape
    """Length per axis."""
    dtype: str
    """Logical data type."""
    chunks_before: Shape
    """Inner chunks of the source."""
    shards_before: Shape | None
    """Shards of the source."""
    chunks: Shape
    """Inner chunks of the target."""
    shards: Shape | None
    """Shards of the target."""
    codecs: tuple[str, ...]
    """Codecs of a chunk of the target that follow its plain bytes or come before them, such as "zstd:3"."""
    route: str
    """"driver", "bytes" (encoded chunks move as they are) or "zarr" (through zarr-python)."""
    passes: tuple[PassReport, ...]
    """The passes in order."""
    reread: float
    """How often a source chunk is decoded on average."""
    keys: int
    """Keys of the target when none is left out as empty."""
    scratch_bytes: int
    """Space that its intermediates take at the most."""
    nbytes: int
    """Decoded bytes of the array."""


@dataclass(frozen=True, slots=True)
class StageReport:
    """Blocks with no order between them; the stages of one pass in many independent boxes are told as one."""

    name: str
    """What the stage does."""
    blocks: int
    """Its blocks."""
    bytes: int
    """Decoded bytes that they move."""


@dataclass(frozen=True, slots=True)
class PlanReport:
    """A plan in figures; every figure in bytes but the memory ones counts decoded bytes."""

    source: str
    """Location that is read."""
    target: str
    """Location that is written, "" where none was given."""
    max_mem: int
    """Limit in bytes for each process that runs blocks."""
    processes: int
    """Processes that run blocks."""
    threads: int
    """Threads in each."""
    projected_mem: int
    """Bound of the memory of any block, in bytes per process."""
    scratch_bytes: int
    """Space that the intermediates take at the most."""
    bytes_read: int
    """Decoded bytes read: the source with its repeats, and the intermediates."""
    bytes_written: int
    """Decoded bytes written: the target and the intermediates."""
    keys_written: int
    """Keys of the target when none is left out as empty."""
    reread: float
    """How often a byte of the source is decoded on average."""
    blocks: int
    """Blocks of all stages."""
    estimated_seconds: float | None
    """Wall time by measured rates, None where nothing was measured."""
    stages: tuple[StageReport, ...]
    """The stages in order."""
    arrays: tuple[ArrayPlanReport, ...]
    """The arrays in the order of their paths."""
    notes: tuple[str, ...]
    """What people should know before they run it."""
    requests: PlannedRequests | None = None
    """What is asked of stores; None where both ends are on the local disk."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values, lists for tuples."""
        data: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return data


def summarize(
    plan: RechunkPlan, *, rates: Rates | None = None, prices: Mapping[str, float] | None = None
) -> PlanReport:
    """Return a plan in figures; with ``rates`` it says how long a run takes on the machine that they describe.

    ``prices`` are those of ``plan_requests``.

    >>> from zarrmill.layout import ArrayLayout
    >>> from zarrmill.plan.arrays import Job, Limits, plan_array
    >>> source = ArrayLayout(shape=(1000, 50), dtype="float64", itemsize=8, chunks=(100, 1))
    >>> target = ArrayLayout(shape=(1000, 50), dtype="float64", itemsize=8, chunks=(1, 50), shards=(500, 50))
    >>> array = plan_array(Job("flux", source, target), Limits(2**28, threads=2))
    >>> plan = RechunkPlan("a.zarr", "", (array,), 2**28, processes=1, threads=2, verify="full")
    >>> report = summarize(plan, rates=Rates())
    >>> report.bytes_read, report.keys_written, report.arrays[0].passes[0].kind, report.estimated_seconds < 1
    (400000, 2, 'source to target', True)
    """
    arrays = tuple(_array_report(array) for array in plan.arrays)
    nbytes = sum(array.nbytes for array in arrays)
    read = sum(round(array.nbytes * array.reread) for array in arrays)
    between = sum(array.nbytes * (len(array.passes) - 1) for array in arrays)
    return PlanReport(
        source=plan.source,
        target=plan.target,
        max_mem=plan.max_mem,
        processes=plan.processes,
        threads=plan.threads,
        projected_mem=plan.projected_mem,
        scratch_bytes=plan.scratch_bytes,
        bytes_read=read + between,
        bytes_written=nbytes + between,
        keys_written=sum(array.keys for array in arrays),
        reread=read / nbytes if nbytes else 1.0,
        blocks=sum(p.blocks for array in arrays for p in array.passes),
        estimated_seconds=None if rates is None else estimate_seconds(plan, rates),
        stages=tuple(_stages(arrays, plan)),
        arrays=arrays,
        notes=plan.notes,
        requests=plan_requests(plan, prices=prices),
    )


def estimate_seconds(plan: RechunkPlan, rates: Rates) -> float:
    """Return the seconds that a run of a plan takes at given rates, reading back for ``verify="full"`` included."""
    return sum(_array_seconds(array, plan, rates) for array in plan.arrays)


def _array_report(array: ArrayPlan) -> ArrayPlanReport:
    source, target = array.source, array.target
    return ArrayPlanReport(
        path=array.path,
        shape=source.shape,
        dtype=source.dtype,
        chunks_before=source.chunks,
        shards_before=source.shards,
        chunks=target.chunks,
        shards=target.shards,
        codecs=tuple(word for codec in target.codecs if (word := codec_word(codec)) != "bytes"),
        route="zarr" if "zarr" in (array.read_route, array.write_route) else array.read_route,
        passes=tuple(_pass_report(array, index) for index in range(len(array.passes))),
        reread=array.reread,
        keys=target.n_write_chunks,
        scratch_bytes=array.scratch_bytes,
        nbytes=source.nbytes,
    )


def codec_word(codec: str) -> str:
    """Return a codec, given as JSON, in the words in which people ask for one.

    >>> codec_word('{"name":"zstd","configuration":{"level":3,"checksum":false}}'), codec_word('{"name":"crc32c"}')
    ('zstd:3', 'crc32c')
    """
    document = json.loads(codec)
    name, config = document["name"].removeprefix("numcodecs."), document.get("configuration") or {}
    words = [name, config.get("cname"), *(config[key] for key in _LEVELS if key in config)]
    return ":".join(str(word) for word in words if word is not None)


def _pass_report(array: ArrayPlan, index: int) -> PassReport:
    this: Pass = array.passes[index]
    ends = [{"stored": stored}.get(end, end) for end, stored in ((this.reads, "source"), (this.writes, "target"))]
    return PassReport(
        reads=this.reads,
        writes=this.writes,
        kind=" to ".join(ends),
        tile=this.tile,
        block=this.block,
        blocks=_count(array, this.block),
        buffers=this.buffers,
        threads=this.threads,
        projected_mem=this.projected_mem,
    )


def _count(array: ArrayPlan, box: Shape) -> int:
    """Return the boxes of one pass in all independent boxes, each of which begins a grid of its own."""
    if len(array.passes) == 1:
        return len(ChunkGrid.over(array.source.shape, box))
    return math.prod(
        sum(-(-length // b) * times for length, times in _lengths(n, d))
        for n, d, b in zip(array.source.shape, array.domain, box, strict=True)
    )


def _lengths(n: int, domain: int) -> list[tuple[int, int]]:
    """Return the lengths into which independent boxes cut an axis, each with how often it comes."""
    whole, rest = divmod(n, domain)
    return [(domain, whole), (rest, 1)] if rest else [(domain, whole)]


def _stages(arrays: tuple[ArrayPlanReport, ...], plan: RechunkPlan) -> list[StageReport]:
    single = [array for array in arrays if len(array.passes) == 1]
    copies = [StageReport("copy", sum(a.passes[0].blocks for a in single), sum(a.nbytes for a in single))]
    stages = copies if single else []
    for array, report in zip(plan.arrays, arrays, strict=True):
        boxes = len(array.domains())
        of = f", in each of {boxes:,} independent boxes" if boxes > 1 else ""
        for index, this in enumerate(report.passes if len(report.passes) > 1 else ()):
            name = f"{array.path or 'array'}: pass {index + 1} of {len(report.passes)}{of}"
            stages.append(StageReport(name, this.blocks, report.nbytes))
    return stages


def _array_seconds(array: ArrayPlan, plan: RechunkPlan, rates: Rates) -> float:
    source, target = array.source, array.target
    blocks = _count(array, array.passes[-1].block)
    processes = max(1, min(plan.processes, blocks))
    workers = processes * max(1, array.passes[-1].threads)
    moved = array.read_route == "bytes"
    full = plan.verify == "full"
    seconds = pass_seconds(
        rates,
        threads=workers,
        # Encoded chunks that move as they are get decoded for the digest alone.
        decoded=array.chunks_read * source.chunk_nbytes if full or not moved else 0,
        touches=array.chunks_read,
        encoded=0 if moved else target.nbytes,
        keys=target.n_write_chunks,
        tiles=sum(_count(array, p.tile) for p in array.passes) // processes,
    )
    if full:
        seconds += (target.nbytes * rates.decode + target.n_chunks * rates.touch) / workers
    for before, after in zip(array.passes, array.passes[1:], strict=False):
        seconds += scratch_seconds(rates, nbytes=source.nbytes, segments=_segments(array, before, after))
    return seconds


def _segments(array: ArrayPlan, before: Pass, after: Pass) -> int:
    """Return the pieces of an intermediate that are written or read at once."""
    axes = zip(array.domains().domain.shape, array.domain, before.tile, after.tile, strict=True)
    return math.prod(sum(touches(m, a, b) * times for m, times in _lengths(n, d)) for n, d, a, b in axes)
