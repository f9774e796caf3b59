"""Choosing tile shapes: how much of an array is held at once, and how often that reads a chunk again.

A tile is a box of a regular grid. Per axis, the number of (tile, chunk) pairs that overlap is known in closed form, and
both the size of a tile and the number of pairs are products over the axes. The search keeps, axis after axis, only
the combinations that no other beats in both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from zarrmill.grid import Shape, ceil_div, round_up, touches

FRONTIER = 400
"""Combinations kept per axis of the search; more only refine sizes that differ by a few per cent."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One tile shape with its two figures."""

    tile: Shape
    """Length per axis."""
    points: int
    """Points of one tile."""
    pairs: int
    """(tile, source chunk) pairs that overlap: chunks decoded in all."""
    tiles: int
    """Number of tiles."""


def one_pass_candidates(shape: Shape, source: Shape, unit: Shape, shards: Shape, *, limit: int) -> list[Candidate]:
    """Return the tiles of at most ``limit`` points, made of whole ``unit`` chunks, that no other tile beats.

    ``source`` and ``shards`` give the lengths at which growing a tile pays: there chunks stop being read twice.

    >>> [c.tile for c in one_pass_candidates((8, 8), (8, 1), (1, 8), (4, 8), limit=64)][-1]
    (8, 8)
    >>> one_pass_candidates((8, 8), (8, 1), (1, 8), (4, 8), limit=7)
    []
    """
    frontier = [Candidate((), 1, 1, 1)]
    least = [min(u, max(1, n)) for u, n in zip(unit, shape, strict=True)]
    for axis, n in enumerate(shape):
        rest = math.prod(least[axis + 1 :])
        grown = [
            Candidate(
                (*c.tile, length),
                c.points * min(length, max(1, n)),
                c.pairs * touches(n, source[axis], length),
                c.tiles * ceil_div(n, length),
            )
            for c in frontier
            for length in _lengths(n, source[axis], unit[axis], shards[axis])
            if c.points * min(length, max(1, n)) * rest <= limit
        ]
        frontier = _undominated(grown)
    return frontier


def _undominated(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates of which no other is as small and reads as little, smallest first."""
    kept: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.points, c.pairs, c.tiles)):
        if not kept or (candidate.pairs, candidate.tiles) < (kept[-1].pairs, kept[-1].tiles):
            kept.append(candidate)
    step = ceil_div(len(kept), FRONTIER)
    return kept if step <= 1 else [*kept[:-1:step], kept[-1]]


def _lengths(n: int, source: int, unit: int, shard: int) -> list[int]:
    """Return the tile lengths worth trying on one axis: multiples of ``unit`` where something starts to fit."""
    whole = round_up(max(1, n), unit)
    seeds = {unit, round_up(min(source, whole), unit), math.lcm(unit, source), shard, math.lcm(shard, source)}
    halves = {round_up(ceil_div(source, k), unit) for k in (2, 3, 4)}
    lengths = {whole}
    for seed in seeds | halves:
        length = seed
        while length < whole:
            lengths.add(length)
            length *= 2
    return sorted(lengths)


@dataclass(frozen=True, slots=True)
class Chain:
    """The tiles of several passes; the data between two of them lies in an intermediate."""

    tiles: tuple[Shape, ...]
    """Tile shape per pass: the first of whole source chunks, the last of whole target chunks."""
    segments: tuple[int, ...]
    """Number of segments (tile of one pass in tile of the next) per intermediate."""


def chains(shape: Shape, source: Shape, unit: Shape, shards: Shape, *, limit: int) -> Iterator[Chain]:
    """Yield ways of two, three and four passes whose tiles have at most ``limit`` points; none when a chunk has more.

    The last tile is whole ``shards``, or divides them where they are larger than the limit.

    >>> next(chains((960, 721, 1440), (1, 721, 1440), (960, 20, 20), (960, 20, 360), limit=50 * 721 * 1440)).tiles
    ((50, 721, 1440), (960, 20, 1440))
    """
    first, last = _clip(source, shape), _clip(unit, shape)
    if max(math.prod(first), math.prod(last)) > limit:
        return
    shards = _clip(shards, shape)
    if math.prod(shards) <= limit:
        last = shards
    first, last = _grow_together(shape, first, last, shards, limit=limit)
    for between in range(3):
        tiles = (first, *_between(shape, first, last, between, limit=limit), last)
        segments = tuple(_segments(shape, a, b) for a, b in itertools.pairwise(tiles))
        yield Chain(tiles, segments)


def _clip(chunk: Shape, shape: Shape) -> Shape:
    return tuple(min(c, max(1, n)) for c, n in zip(chunk, shape, strict=True))


def _segments(shape: Shape, a: Shape, b: Shape) -> int:
    return math.prod(touches(n, x, y) for n, x, y in zip(shape, a, b, strict=True))


def _grow_together(shape: Shape, first: Shape, last: Shape, shards: Shape, *, limit: int) -> tuple[Shape, Shape]:
    """Return both tiles grown, step by step, along the axis on which a step saves the most segments."""
    steps, aligned = (first, last), (first, shards)
    tiles = [first, last]
    while True:
        best: tuple[float, int, Shape] | None = None
        now = _segments(shape, *tiles)
        for which in (0, 1):
            for grown in _larger(shape, tiles[which], steps[which], aligned[which], limit=limit):
                pair = (grown, tiles[1]) if which == 0 else (tiles[0], grown)
                saved = math.log(now / _segments(shape, *pair)) / math.log(math.prod(grown) / math.prod(tiles[which]))
                if best is None or saved > best[0]:
                    best = (saved, which, grown)
        if best is None:
            return tiles[0], tiles[1]
        tiles[best[1]] = best[2]


def _larger(shape: Shape, tile: Shape, step: Shape, aligned: Shape, *, limit: int) -> Iterator[Shape]:
    """Yield the tile longer on one axis: doubled, or the longest that fits when that is less.

    Below the aligned length a tile divides it, above it a tile is a multiple, so that blocks stay small.
    """
    points = math.prod(tile)
    for axis, n in enumerate(shape):
        fits = min(n, limit * tile[axis] // points)
        if fits <= tile[axis]:
            continue
        lengths = _aligned_lengths(tile[axis], step[axis], aligned[axis], most=fits)
        if n <= 2 * tile[axis] and fits == n:
            lengths = [n]
        if lengths:
            yield (*tile[:axis], lengths[-1], *tile[axis + 1 :])


def _aligned_lengths(length: int, step: int, aligned: int, *, most: int) -> list[int]:
    """Return the lengths above ``length``, up to its double or ``most``, that go evenly with ``aligned``."""
    most = min(2 * length, most)
    if length >= aligned:
        return [most // aligned * aligned] if most // aligned * aligned > length else []
    counts = range(length // step + 1, min(most, aligned) // step + 1)
    if len(counts) > 4096:
        counts = range(counts[0], counts[-1] + 1, len(counts) // 4096)
    return [k * step for k in counts if aligned % (k * step) == 0]


def _between(shape: Shape, first: Shape, last: Shape, count: int, *, limit: int) -> Iterator[Shape]:
    """Yield tiles on the geometric way from the first to the last, each grown to the limit along its longest axes."""
    for i in range(1, count + 1):
        share = i / (count + 1)
        tile = tuple(max(1, round(a ** (1 - share) * b**share)) for a, b in zip(first, last, strict=True))
        while math.prod(tile) > limit:
            axis = max(range(len(tile)), key=lambda a: tile[a])
            tile = (*tile[:axis], tile[axis] // 2, *tile[axis + 1 :])
        yield _clip(tile, shape)
