"""Choosing the passes of one array: one if it fits, re-reading or an intermediate where it does not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from zarrmill.errors import MemoryLimitError
from zarrmill.grid import Region, Shape, ceil_div, round_up
from zarrmill.layout import ArrayLayout
from zarrmill.plan.array_plan import ArrayPlan, End, Pass, Route, count_open, group_tiles
from zarrmill.plan.cost import RATES, pass_seconds, scratch_seconds
from zarrmill.plan.memory import PAGE, Remote, Side, move_side, pass_mem, read_side, scratch_side, write_side
from zarrmill.plan.tiles import Candidate, Chain, chains, one_pass_candidates
from zarrmill.units import format_bytes

BLOCK_AIM = 256 * 2**20
"""Bytes that a block covers where tiles are smaller: seconds of work, so that little is lost when a run is killed."""
TILES_AHEAD = 4
"""How many times as many bytes that is where several processes run blocks."""
BLOCKS_PER_WORKER = 4
"""Blocks that each process should get at least, so that none waits long for the others."""
SMALL = 16 * 2**20
"""Arrays up to this many bytes are one tile when the limit allows."""
MOST_OPEN = 512
"""Shards that a block may hold open: half of the files that most systems let a process open."""
CLOSE_ENOUGH = 1.03
"""A plan that is this close to the fastest and needs less memory is preferred: a small tile stays in the cache."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan may use."""

    max_mem: int
    """Bytes per process above what it held before its first block."""
    threads: int
    """Threads per process."""
    workers: int = 1
    """Processes."""


@dataclass(frozen=True, slots=True)
class Job:
    """One array and how both of its ends are reached."""

    path: str
    """Path below the root."""
    source: ArrayLayout
    """Layout that is read."""
    target: ArrayLayout
    """Layout that is written."""
    read_route: Route = "driver"
    """How chunks are read."""
    write_route: Route = "driver"
    """How chunks are written."""
    verify: bool = True
    """Whether what was written is read back and decoded."""
    remote: Remote = field(default_factory=Remote)
    """Which ends are reached by requests to a store."""
    changed: Region | None = None
    """For an update, the box of what is new or changed: plans are preferred that redo little else. None for all."""

    @property
    def unit(self) -> Shape:
        """What a tile is made of: whole target chunks, or whole write chunks where zarr-python writes them."""
        unit = self.target.write_chunk if self.write_route == "zarr" else self.target.chunks
        return _clip(unit, self.target.shape)

    def read_side(self) -> Side:
        """Return what reading takes."""
        return read_side(self.source, native=self.read_route != "zarr", remote=self.remote.source)

    def write_side(self, *, open_shards: int) -> Side:
        """Return what writing takes."""
        native = self.write_route != "zarr"
        return write_side(
            self.target, native=native, verify=self.verify, open_shards=open_shards, remote=self.remote.target
        )


def plan_array(job: Job, limits: Limits) -> ArrayPlan:
    """Return the fastest plan within the limits, by the cost model.

    Raises MemoryLimitError, which names the smallest limit that would do.
    """
    small = _small_plan(job, limits)
    if small is not None:
        return small
    best: tuple[float, int, ArrayPlan] | None = None
    for seconds, plan in _plans(job, limits) if job.changed is None else _updating_plans(job, limits, job.changed):
        rank = (seconds, plan.projected_mem)
        if best is None or _better(rank, best[:2]):
            best = (*rank, plan)
    if best is None and job.changed is not None:
        return plan_array(replace(job, changed=None), limits)
    if best is None:
        raise _limit_error(job, limits)
    return best[2]


def _updating_plans(job: Job, limits: Limits, changed: Region) -> list[tuple[float, ArrayPlan]]:
    """Return the plans that redo hardly more than any other has to: what is not done again is not written again."""
    plans = [(seconds, plan, plan.redone_share(changed)) for seconds, plan in _plans(job, limits)]
    least = min((share for _, _, share in plans), default=0.0)
    return [(seconds, plan) for seconds, plan, share in plans if share <= least * CLOSE_ENOUGH]


def _small_plan(job: Job, limits: Limits) -> ArrayPlan | None:
    """Return the plan of an array that one small tile holds, for which a search would take longer than the work."""
    if job.read_route == "bytes" or job.changed is not None:
        return None
    whole = tuple(round_up(max(1, n), u) for n, u in zip(job.source.shape, job.unit, strict=True))
    arena = _arena(whole, job)
    read, write = job.read_side(), job.write_side(open_shards=1)
    mem = pass_mem(arena, buffers=1, threads=limits.threads, read=read, write=write, held=job.remote.held)
    if arena > SMALL or mem > limits.max_mem:
        return None
    one = Pass("stored", "stored", whole, _block(whole, job, limits), 1, limits.threads, mem)
    return _array_plan(job, (one,), job.source.shape, job.source.n_chunks)


def _better(rank: tuple[float, int], best: tuple[float, int]) -> bool:
    """Tell whether a plan is preferred: clearly faster, or about as fast with less memory."""
    if rank[0] * CLOSE_ENOUGH < best[0]:
        return True
    return rank[0] <= best[0] * CLOSE_ENOUGH and rank[1] < best[1]


def _plans(job: Job, limits: Limits) -> Iterator[tuple[float, ArrayPlan]]:
    """Yield plans with their seconds: for ever fewer threads, one pass with two buffers or one, and more passes."""
    threads = limits.threads
    while threads:
        if job.read_route == "bytes":
            yield from _bytes_plans(job, limits, threads=threads)
            threads //= 2
            continue
        for buffers in (2, 1):
            yield from _one_pass_plans(job, limits, threads=threads, buffers=buffers)
        if job.source.dtype not in ("string", "bytes"):
            yield from _chain_plans(job, limits, threads=threads)
        threads //= 2


def _room(job: Job, limits: Limits, *, threads: int, buffers: int, read: Side, write: Side) -> int:
    """Return the points that one tile may have."""
    fixed = pass_mem(0, buffers=buffers, threads=threads, read=read, write=write, held=job.remote.held)
    return max(0, limits.max_mem - fixed) // buffers // job.source.itemsize


def _one_pass_plans(job: Job, limits: Limits, *, threads: int, buffers: int) -> Iterator[tuple[float, ArrayPlan]]:
    read, source, shards = job.read_side(), job.source, job.target.write_chunk
    room = _room(job, limits, threads=threads, buffers=buffers, read=read, write=job.write_side(open_shards=1))
    # Tiles of whole shards are tried on their own: beside others, which read less but hold shards open, few are left.
    for unit in (_clip(shards, source.shape), job.unit):
        for c in one_pass_candidates(source.shape, source.chunks, unit, shards, limit=room):
            block = _block(c.tile, job, limits)
            held = count_open(source.shape, c.tile, block, shards)
            write = job.write_side(open_shards=held)
            mem = pass_mem(
                _arena(c.tile, job), buffers=buffers, threads=threads, read=read, write=write, held=job.remote.held
            )
            if mem > limits.max_mem or held > MOST_OPEN:
                continue
            one = Pass("stored", "stored", c.tile, block, buffers, threads, mem)
            at_once = _busy(limits, _tiles(source.shape, block)) * threads
            yield _one_pass_seconds(c, job, at_once, buffers), _array_plan(job, (one,), source.shape, c.pairs)


def _busy(limits: Limits, blocks: int) -> float:
    """Return how many processes are at work on average: 3 blocks keep 2 of them busy for three quarters of the time."""
    return blocks / ceil_div(blocks, limits.workers) if blocks else 1.0


def _one_pass_seconds(c: Candidate, job: Job, threads: float, buffers: int) -> float:
    """Return the seconds of a pass with so many threads in all processes that get a block."""
    seconds = pass_seconds(
        RATES,
        threads=threads,
        decoded=c.pairs * job.source.chunk_nbytes,
        touches=c.pairs,
        encoded=job.target.nbytes,
        keys=job.target.n_write_chunks,
        tiles=c.tiles,
    )
    seconds += _waiting(job, c.tiles)
    # One tile at a time leaves the threads idle while its last chunks are read and written; two tiles overlap.
    return seconds * (1.0 if buffers > 1 or c.tiles == 1 else 1.02)


def _waiting(job: Job, tiles: int) -> float:
    """Return the seconds in which nothing is done because the last requests of a tile are under way."""
    return tiles * RATES.request if job.remote.source or job.remote.target else 0.0


def _chain_plans(job: Job, limits: Limits, *, threads: int) -> Iterator[tuple[float, ArrayPlan]]:
    """Yield plans of several passes within the smallest independent boxes that are worth a stage of their own."""
    read, write = job.read_side(), job.write_side(open_shards=1)
    read_room = _room(job, limits, threads=threads, buffers=2, read=read, write=scratch_side(job.remote))
    write_room = _room(job, limits, threads=threads, buffers=2, read=scratch_side(job.remote), write=write)
    # A segment is padded to a page; segments are never so small that this costs more than an eighth.
    room = min(read_room, write_room) * 7 // 8
    domain = _domain(job, limits)
    clipped = tuple(min(d, n) for d, n in zip(domain, job.source.shape, strict=True))
    if not math.prod(clipped):
        return
    for chain in _chains(clipped, job, limits, room=room):
        passes = tuple(_chain_passes(chain, job, limits, threads=threads, domain=clipped))
        held = count_open(clipped, passes[-1].tile, passes[-1].block, job.target.write_chunk)
        if held <= MOST_OPEN and max(p.projected_mem for p in passes) <= limits.max_mem:
            plan = _array_plan(job, passes, domain, job.source.n_chunks)
            at_once = min(_busy(limits, _tiles(clipped, p.block)) for p in passes) * threads
            yield _chain_seconds(chain, job, threads=at_once, domains=len(plan.domains())), plan


def _chains(domain: Shape, job: Job, limits: Limits, *, room: int) -> Iterator[Chain]:
    """Yield chains of tiles as large as there is room for, and of tiles so small that every process has some."""
    rooms = {room}
    if limits.workers > 1:
        rooms.add(min(room, math.prod(domain) // (BLOCKS_PER_WORKER * limits.workers)))
    for points in sorted(rooms, reverse=True):
        yield from chains(domain, job.source.chunks, job.unit, job.target.write_chunk, limit=points)


def _chain_passes(chain: Chain, job: Job, limits: Limits, *, threads: int, domain: Shape) -> Iterator[Pass]:
    last = len(chain.tiles) - 1
    for i, tile in enumerate(chain.tiles):
        reads: End = "scratch" if i else "stored"
        writes: End = "scratch" if i < last else "stored"
        write_chunk = job.target.write_chunk if i == last else None
        aim = _block_aim(math.prod(domain) * job.source.itemsize, job, limits)
        block = group_tiles(domain, tile, write_chunk, itemsize=job.source.itemsize, aim=aim)
        pieces = max(chain.segments[j] // max(1, _tiles(domain, tile)) + 1 for j in (i - 1, i) if 0 <= j < last)
        arena = math.prod(tile) * job.source.itemsize + 4 * pieces * PAGE
        held = count_open(domain, tile, block, write_chunk or tile)
        mem = pass_mem(
            arena,
            buffers=2,
            threads=threads,
            read=scratch_side(job.remote) if i else job.read_side(),
            write=scratch_side(job.remote) if i < last else job.write_side(open_shards=held),
            held=job.remote.held,
        )
        yield Pass(reads, writes, tile, block, 2, threads, mem)


def _chain_seconds(chain: Chain, job: Job, *, threads: float, domains: int) -> float:
    source, target = job.source, job.target
    tiles = sum(_tiles(source.shape, tile) for tile in chain.tiles)
    seconds = pass_seconds(
        RATES,
        threads=threads,
        decoded=source.n_chunks * source.chunk_nbytes,
        touches=source.n_chunks,
        encoded=target.nbytes,
        keys=target.n_write_chunks,
        tiles=tiles,
    )
    return (
        seconds
        + _waiting(job, tiles)
        + sum(scratch_seconds(RATES, nbytes=source.nbytes, segments=segments * domains) for segments in chain.segments)
    )


def _bytes_plans(job: Job, limits: Limits, *, threads: int) -> Iterator[tuple[float, ArrayPlan]]:
    """Yield the plan that moves encoded chunks: tiles are whole write chunks, and nothing is held but runs."""
    side = move_side(job.source, job.target, verify=job.verify, remote=job.remote)
    mem = pass_mem(0, buffers=1, threads=threads, read=side, write=side, held=job.remote.held)
    if mem <= limits.max_mem:
        tile = job.target.write_chunk
        one = Pass("stored", "stored", tile, _block(tile, job, limits), 1, threads, mem)
        yield 1 / threads, _array_plan(job, (one,), job.source.shape, job.source.n_chunks)


def _array_plan(job: Job, passes: tuple[Pass, ...], domain: Shape, pairs: int) -> ArrayPlan:
    domain = tuple(max(1, min(d, n)) for d, n in zip(domain, job.source.shape, strict=True))
    return ArrayPlan(job.path, job.source, job.target, job.read_route, job.write_route, domain, passes, pairs)


def _clip(chunk: Shape, shape: Shape) -> Shape:
    return tuple(min(c, max(1, n)) for c, n in zip(chunk, shape, strict=True))


def _arena(tile: Shape, job: Job) -> int:
    clipped = Region.whole(tuple(min(t, n) for t, n in zip(tile, job.source.shape, strict=True)))
    return round_up(max(1, clipped.size) * job.source.itemsize, PAGE)


def _block(tile: Shape, job: Job, limits: Limits) -> Shape:
    itemsize = job.source.itemsize
    aim = _block_aim(job.source.nbytes, job, limits)
    return group_tiles(job.source.shape, tile, job.target.write_chunk, itemsize=itemsize, aim=aim)


def _block_aim(nbytes: int, job: Job, limits: Limits) -> int:
    if job.changed is not None:
        return 0
    if limits.workers == 1:
        return BLOCK_AIM
    # One process reads ahead from block to block; of several each does so within a block, which is of more tiles then.
    return min(TILES_AHEAD * BLOCK_AIM, nbytes // (BLOCKS_PER_WORKER * limits.workers))


def _domain(job: Job, limits: Limits) -> Shape:
    """Return independent boxes: aligned with the chunks of both ends, grown until a stage fills the processes."""
    shape, itemsize = job.source.shape, job.source.itemsize
    pairs = zip(job.source.write_chunk, job.target.write_chunk, strict=True)
    unit = tuple(math.lcm(s, w) for s, w in pairs)
    aim = 0 if job.changed is not None else 8 * limits.max_mem * limits.workers
    return group_tiles(shape, unit, None, itemsize=itemsize, aim=aim)


def _tiles(shape: Shape, tile: Shape) -> int:
    return math.prod(-(-n // t) for n, t in zip(shape, tile, strict=True))


def _smallest_limit(job: Job, limits: Limits) -> int:
    """Return a limit in bytes, whole mebibytes, that has a plan while a mebibyte less has none."""
    low, high = limits.max_mem // 2**20, max(1, 2 * limits.max_mem // 2**20)
    while not _has_plan(job, replace(limits, max_mem=high * 2**20)):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _has_plan(job, replace(limits, max_mem=middle * 2**20)):
            high = middle
        else:
            low = middle
    return high * 2**20


def _has_plan(job: Job, limits: Limits) -> bool:
    return _small_plan(job, limits) is not None or next(_plans(job, limits), None) is not None


def _limit_error(job: Job, limits: Limits) -> MemoryLimitError:
    needed = _smallest_limit(job, limits)
    chunk = "x".join(map(str, job.source.chunks))
    unit = "x".join(map(str, job.unit))
    return MemoryLimitError(
        f"{job.path or 'array'}: reading a chunk of {chunk} and writing one of {unit} needs {format_bytes(needed)} "
        f"of memory, max_mem is {format_bytes(limits.max_mem)}. Raise max_mem to {needed // 2**20}MiB or use "
        f"smaller chunks."
    )
