"""The requests that a plan makes to stores, from shapes alone, and what they cost.

Chunks and shards are counted as if all were stored and nothing compressed: missing and empty ones, and neighbours in a
shard that come together because they compress well, make it fewer. Requests that are repeated after a fault, the ones
that replace an old target, and those of zarr-python's own are not counted.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from zarrmill.errors import InvalidInputError
from zarrmill.grid import Coord, Shape, ceil_div
from zarrmill.layout import ArrayLayout
from zarrmill.plan.array_plan import ArrayPlan
from zarrmill.plan.memory import FETCH_BYTES, INDEX_CACHE, encoded_bound, index_nbytes, key_bound
from zarrmill.plan.rechunk import RechunkPlan

PAGE_KEYS = 1000
"""Keys of one page of a listing."""
BUNDLE_BLOCKS = 100
"""Finished blocks that are journaled with one request, where they take less than 10 seconds together."""
GAP_BYTES = 256 * 1024
"""Bytes between two inner chunks up to which one request reads both, as ``keyspace.ranges`` has it."""
MOST_SIMULATED = 2**16
"""Inner chunks of a shard up to which their order in it is followed one by one."""
KINDS = ("get", "put", "list", "head", "delete", "transfer")
"""What can have a price: 1,000 requests of each kind, and a GB that is read."""
_GB = 10**9


@dataclass(frozen=True, slots=True)
class EndRequests:
    """Requests to one end of a plan, and the bytes that they move at the most: those of decoded values."""

    gets: int = 0
    """Reads of values, whole or in part."""
    puts: int = 0
    """Writes of values."""
    lists: int = 0
    """Pages of listings."""
    heads: int = 0
    """Questions about a key."""
    deletes: int = 0
    """Removals."""
    bytes_read: int = 0
    """Bytes read."""
    bytes_written: int = 0
    """Bytes written."""

    def __add__(self, other: EndRequests) -> EndRequests:
        names = [field.name for field in fields(EndRequests)]
        return EndRequests(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, slots=True)
class PlannedRequests:
    """What a plan asks of stores."""

    source: EndRequests | None
    """Requests to the source; None where it is on the local disk."""
    target: EndRequests | None
    """Requests to the target, reading back included; None where it is on the local disk."""
    cost: float | None
    """What they cost in the currency of the prices; None without prices."""


def plan_requests(plan: RechunkPlan, *, prices: Mapping[str, float] | None = None) -> PlannedRequests | None:
    """Return what a plan asks of stores; None where both ends are on the local disk.

    ``prices`` are of 1,000 requests by kind, and of a GB (1e9 bytes) that is read as "transfer": {"get": 0.0004, "put":
    0.005}. What is not in there costs nothing, except that "head" costs what "get" does. Raises InvalidInputError.
    """
    checked = None if prices is None else check_prices(prices)
    source = _source_requests(plan) if plan.remote.source else None
    target = _target_requests(plan) if plan.remote.target else None
    if source is None and target is None:
        return None
    ends = [end for end in (source, target) if end is not None]
    return PlannedRequests(source, target, None if checked is None else sum(cost_of(end, checked) for end in ends))


def check_prices(prices: Mapping[str, Any]) -> dict[str, float]:
    """Return prices as numbers; raises InvalidInputError for an unknown kind and for what is no price."""
    for kind, price in prices.items():
        if kind not in KINDS:
            raise InvalidInputError(f"price {kind!r} is not known. Known are {', '.join(KINDS)}.")
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < math.inf:
            raise InvalidInputError(f"price {kind}={price!r} is no price. Write a number from 0 up, such as 0.005.")
    return {kind: float(price) for kind, price in prices.items()}


def cost_of(requests: EndRequests, prices: Mapping[str, float]) -> float:
    """Return what requests cost.

    >>> cost_of(EndRequests(gets=2000, heads=1000, puts=100, bytes_read=10**9), {"get": 0.5, "put": 5, "transfer": 1})
    3.0
    """
    prices = {"head": prices.get("get", 0.0), **prices}
    counts = {
        "get": requests.gets,
        "put": requests.puts,
        "list": requests.lists,
        "head": requests.heads,
        "delete": requests.deletes,
    }
    thousands = sum(count * prices.get(kind, 0.0) for kind, count in counts.items())
    return thousands / 1000 + requests.bytes_read / _GB * prices.get("transfer", 0.0)


def _source_requests(plan: RechunkPlan) -> EndRequests:
    """Return the requests for metadata, for the listings that show changes, and for chunks."""
    nodes = len(plan.documents)
    # One asks whether anything is there, and one for the children of each group.
    found = EndRequests(gets=nodes, lists=1 + nodes - len(plan.arrays))
    for array in plan.arrays:
        # Before the run and after it, to tell whether the source was changed meanwhile.
        found += EndRequests(lists=2 * _pages(array.source.n_write_chunks + 1))
        found += _reads(array, digested=plan.verify == "full")
    return found


def _reads(array: ArrayPlan, *, digested: bool) -> EndRequests:
    """Return the requests for the chunks of a source."""
    source = array.source
    if array.read_route != "bytes":
        gets = _shard_reads(array) if source.shards is not None else array.chunks_read
        return EndRequests(gets=gets, bytes_read=array.chunks_read * source.chunk_nbytes)
    # Encoded chunks move one by one, and come again for the digest.
    gets = source.n_chunks + (source.n_write_chunks if source.shards is not None else 0)
    nbytes = source.n_chunks * source.chunk_nbytes
    if digested:
        gets += source.n_chunks if source.shards is None else _whole_shard_reads(source, None)
    return EndRequests(gets=gets, bytes_read=nbytes * (2 if digested else 1))


def _target_requests(plan: RechunkPlan) -> EndRequests:
    """Return the requests of a draft, its journal, its keys, reading them back, and publishing."""
    scratch = int(plan.scratch_bytes > 0)
    bundles = plan.n_blocks // BUNDLE_BLOCKS
    # Looked at, claimed, made empty and the journal read; at the end what belongs to the draft alone is removed. The
    # claim and all metadata are read back, because they have no checksum of their own, and the note of scratch is read.
    # Each array has a record of what it was made from.
    small = len(plan.documents) + 1
    puts = small + scratch + bundles + len(plan.arrays)
    found = EndRequests(gets=small + 1, puts=puts, lists=5, deletes=1 + int(scratch + bundles > 0))
    for array in plan.arrays:
        found += EndRequests(puts=array.target.n_write_chunks, bytes_written=array.target.nbytes)
        found += EndRequests(lists=_pages(array.target.n_write_chunks))
        if array.write_route == "zarr":
            found += EndRequests(heads=array.target.n_write_chunks)
        found += _read_back(array, plan.verify)
    return found


def _read_back(array: ArrayPlan, verify: str) -> EndRequests:
    target = array.target
    if verify == "written":
        in_parts = key_bound(target) > FETCH_BYTES
        parts = key_bound(target) // FETCH_BYTES + 1 if in_parts else 1
        # Of the last part, which is short, the store is asked whether the value ends there.
        heads = target.n_write_chunks if in_parts else 0
        return EndRequests(gets=target.n_write_chunks * parts, heads=heads, bytes_read=target.nbytes)
    if verify != "full":
        return EndRequests()
    gets = target.n_chunks if target.shards is None else _whole_shard_reads(target, array.passes[-1].tile)
    return EndRequests(gets=gets, bytes_read=target.nbytes)


def _pages(keys: int) -> int:
    return keys // PAGE_KEYS + 1


# --- shards ---------------------------------------------------------------------------------------------------------


def fetch_chunks(layout: ArrayLayout) -> int:
    """Return how many neighbouring inner chunks are asked for together."""
    return max(1, FETCH_BYTES // max(1, layout.chunk_nbytes))


def _whole_shard_reads(layout: ArrayLayout, tile: Shape | None) -> int:
    """Return the requests for all inner chunks of an array shard by shard, and for the indices.

    Tiles that end inside a shard have left its chunks in another order than the one in which they are read.
    """
    total = layout.n_write_chunks
    per_shard = _per_shard(layout)
    cost: dict[Shape, int] = {}
    for counts, times in _parts(layout, None, layout.shape).items():
        if counts not in cost:
            position = _order(layout, counts, tile)
            cost[counts] = _requests_for(layout, (0,) * len(counts), counts, per_shard, position)
        total += cost[counts] * times
    return total


def _shard_reads(array: ArrayPlan) -> int:
    """Return the requests for inner chunks tile by tile, and for the indices, which come again when many are open."""
    source = array.source
    per_shard = _per_shard(source)
    parts = _parts(source, array.passes[0].tile, array.domain if len(array.passes) > 1 else source.shape)
    total = sum(
        times * _requests_for(source, (0,) * len(counts), counts, per_shard, None) for counts, times in parts.items()
    )
    visits, kept = sum(parts.values()), max(1, INDEX_CACHE // max(1, index_nbytes(source)))
    # Each process that runs blocks reads the indices that it needs for itself; those of one are counted.
    return total + (source.n_write_chunks if source.n_write_chunks <= kept else visits)


def _per_shard(layout: ArrayLayout) -> Shape:
    return tuple(s // c for s, c in zip(layout.write_chunk, layout.chunks, strict=True))


def _parts(layout: ArrayLayout, tile: Shape | None, domain: Shape) -> dict[Shape, int]:
    """Return the inner chunks per axis that tiles have in common with shards, and how often each such box comes."""
    axes = [
        _axis_parts(n, shard, chunk, n if tile is None else tile[axis], domain[axis])
        for axis, (n, shard, chunk) in enumerate(zip(layout.shape, layout.write_chunk, layout.chunks, strict=True))
    ]
    found: Counter[Shape] = Counter()
    for combination in itertools.product(*(axis.items() for axis in axes)):
        found[tuple(count for count, _ in combination)] += math.prod(times for _, times in combination)
    return dict(found)


def _axis_parts(n: int, shard: int, chunk: int, tile: int, domain: int) -> Counter[int]:
    """Return the inner chunks that tiles and shards of one axis have in common.

    >>> _axis_parts(10, 4, 2, 5, 10)
    Counter({1: 3, 2: 1})
    """
    found: Counter[int] = Counter()
    for begin in range(0, n, max(1, domain)):
        end = min(n, begin + domain)
        for start in range(begin, end, max(1, tile)):
            stop, at = min(end, start + tile), start
            while at < stop:
                until = min(stop, (at // shard + 1) * shard)
                found[ceil_div(until, chunk) - at // chunk] += 1
                at = until
    return found


def _order(layout: ArrayLayout, counts: Shape, tile: Shape | None) -> dict[Coord, int] | None:
    """Return where the inner chunks of a first shard stand in it when tiles come in C order; None for C order."""
    shard = [min(s, n) for s, n in zip(layout.write_chunk, layout.shape, strict=True)]
    if tile is None or all(t >= s for t, s in zip(tile, shard, strict=True)) or math.prod(counts) > MOST_SIMULATED:
        return None
    steps = tuple(max(1, t // c) for t, c in zip(tile, layout.chunks, strict=True))
    coords = sorted(
        itertools.product(*map(range, counts)),
        key=lambda coord: (tuple(i // s for i, s in zip(coord, steps, strict=True)), coord),
    )
    return {coord: place for place, coord in enumerate(coords)}


def _requests_for(
    layout: ArrayLayout, first: Coord, counts: Shape, per_shard: Shape, order: dict[Coord, int] | None
) -> int:
    """Return the requests for a box of inner chunks of one shard, some of which are read with those between them."""
    step, nbytes = fetch_chunks(layout), encoded_bound(layout.chunk_nbytes)
    total = math.prod(counts)
    if order is None and (total == math.prod(per_shard) or total > MOST_SIMULATED):
        return ceil_div(total, step)
    coords: Iterator[Coord] = itertools.product(*(range(a, a + n) for a, n in zip(first, counts, strict=True)))
    found = 0
    while some := list(itertools.islice(coords, step)):
        places = sorted(order[c] if order is not None else _place(c, per_shard) for c in some)
        found += 1 + sum((b - a - 1) * nbytes > GAP_BYTES for a, b in itertools.pairwise(places))
    return found


def _place(coord: Coord, per_shard: Shape) -> int:
    place = 0
    for i, n in zip(coord, per_shard, strict=True):
        place = place * n + i
    return place
