"""plan/tiles.py: candidates and chains of tiles, their figures against counting."""

from __future__ import annotations

import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from zarrmill.grid import round_up
from zarrmill.plan.tiles import chains, one_pass_candidates


@st.composite
def cases(draw, longest=30):
    """Shape, source chunk, unit, and shard of whole units, each unit clipped to its axis as the planner does."""
    ndim = draw(st.integers(0, 3))
    shape = tuple(draw(st.integers(0, longest)) for _ in range(ndim))
    source = tuple(draw(st.integers(1, max(1, n) + 3)) for n in shape)
    unit = tuple(draw(st.integers(1, max(1, n))) for n in shape)
    shards = tuple(u * draw(st.integers(1, 4)) for u in unit)
    return shape, source, unit, shards


def boxes(n, length):
    """Return the indices of each box of one axis."""
    return [set(range(a, min(a + length, n))) for a in range(0, n, length)]


def count_pairs(shape, a, b):
    """Count the pairs of a box of one grid and a box of another that share a point."""
    per_axis = (
        sum(bool(x & y) for x, y in itertools.product(boxes(n, i), boxes(n, j)))
        for n, i, j in zip(shape, a, b, strict=True)
    )
    return math.prod(per_axis)


@given(case=cases(), limit=st.integers(1, 10_000))
def test_candidate_figures_are_counts(case, limit):
    """Points, pairs and tiles of each candidate are what counting finds, and no tile is above the limit."""
    shape, source, unit, _ = case
    for candidate in one_pass_candidates(*case, limit=limit):
        clipped = [min(t, max(1, n)) for t, n in zip(candidate.tile, shape, strict=True)]
        assert candidate.points == math.prod(clipped) <= limit
        assert candidate.pairs == count_pairs(shape, source, candidate.tile)
        assert candidate.tiles == math.prod(len(boxes(n, t)) for n, t in zip(shape, candidate.tile, strict=True))
        assert all(t % u == 0 for t, u in zip(candidate.tile, unit, strict=True))


@given(case=cases(), limit=st.integers(1, 10_000))
def test_there_is_a_candidate_whenever_one_unit_fits(case, limit):
    """Memory for one unit is enough for some tile, and less is not."""
    found = one_pass_candidates(*case, limit=limit)

    assert bool(found) == (math.prod(case[2]) <= limit)


@given(cases())
def test_the_whole_array_is_a_candidate_when_it_fits(case):
    """With room for everything, the last candidate reads each source chunk once, in one tile."""
    shape, source, unit, _ = case
    whole = one_pass_candidates(*case, limit=10**9)[-1]

    assert whole.tile == tuple(round_up(max(1, n), u) for n, u in zip(shape, unit, strict=True)) or whole.pairs == 0
    assert whole.pairs == math.prod(len(boxes(n, c)) for n, c in zip(shape, source, strict=True))


@given(case=cases(), limit=st.integers(1, 10_000))
def test_no_candidate_beats_another(case, limit):
    """Each larger tile is there because it reads less, or comes in fewer tiles."""
    found = one_pass_candidates(*case, limit=limit)

    for smaller, larger in itertools.pairwise(found):
        assert smaller.points <= larger.points
        assert (larger.pairs, larger.tiles) < (smaller.pairs, smaller.tiles)


@given(case=cases(), limit=st.integers(1, 3000))
def test_chains_fit_and_end_in_whole_chunks(case, limit):
    """No tile is above the limit; the first is whole source chunks, the last whole target chunks, or the whole axis."""
    shape, source, unit, _ = case
    found = list(chains(*case, limit=limit))
    first = [min(c, max(1, n)) for c, n in zip(source, shape, strict=True)]

    assert bool(found) == (max(math.prod(first), math.prod(unit)) <= limit)
    assert [len(chain.tiles) for chain in found] == [2, 3, 4][: len(found)]
    for chain in found:
        assert all(math.prod(tile) <= limit for tile in chain.tiles)
        for tile, step in ((chain.tiles[0], first), (chain.tiles[-1], unit)):
            assert all(t % s == 0 or t == n for t, s, n in zip(tile, step, shape, strict=True))


@given(case=cases(), limit=st.integers(1, 3000))
def test_segments_are_counts(case, limit):
    """A segment is what a tile of one pass shares with one of the next."""
    shape = case[0]
    for chain in chains(*case, limit=limit):
        expected = [count_pairs(shape, a, b) for a, b in itertools.pairwise(chain.tiles)]
        assert list(chain.segments) == expected


def test_last_tiles_go_evenly_with_shards():
    """A last tile divides a shard or is whole shards, so that few shards are open at once."""
    chain = next(chains((960, 721, 1440), (1, 721, 1440), (960, 20, 20), (960, 20, 360), limit=10 * 721 * 1440))

    assert all(t % s == 0 or s % t == 0 for t, s in zip(chain.tiles[-1], (960, 20, 360), strict=True))


def test_search_stays_quick_for_many_chunks():
    """Axes of millions of chunks are searched by formula: the largest plan takes no longer than a small one."""
    found = one_pass_candidates((10**7, 10**6), (1, 10**6), (10**7, 1), (10**7, 100), limit=10**9)

    assert found
    assert len(found) <= 401
