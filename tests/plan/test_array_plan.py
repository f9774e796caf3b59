"""plan/array_plan.py: blocks of whole tiles and whole write chunks, and the shards that they hold open."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from zarrmill.grid import ChunkGrid
from zarrmill.layout import ArrayLayout
from zarrmill.plan.array_plan import ArrayPlan, Pass, count_open, group_tiles, layout_from_json

SOURCE = ArrayLayout((12, 10), "float64", 8, (12, 1), shards=(12, 5), dims=("a", None), codecs=('{"name":"bytes"}',))
TARGET = ArrayLayout((12, 10), "float64", 8, (1, 10))
TWO = (
    Pass("stored", "scratch", (6, 5), (12, 5), 2, 2, 1000),
    Pass("scratch", "stored", (3, 10), (6, 10), 2, 2, 3000),
)
PLAN = ArrayPlan("a/b", SOURCE, TARGET, "driver", "driver", (12, 10), TWO, 30)


@st.composite
def cases(draw):
    """Shape, tile, write chunk and aim, where tiles and write chunks are made of one unit."""
    ndim = draw(st.integers(0, 3))
    shape = tuple(draw(st.integers(0, 12)) for _ in range(ndim))
    unit = tuple(draw(st.integers(1, 3)) for _ in range(ndim))
    tile, shard = (tuple(u * draw(st.integers(1, 4)) for u in unit) for _ in range(2))
    return shape, tile, shard, draw(st.sampled_from([0, 10, 100, 10_000]))


@given(cases())
def test_blocks_are_whole_tiles_and_whole_write_chunks(case):
    """Nothing is shared: a block's length divides by both, or one block has the whole axis."""
    shape, tile, shard, aim = case
    block = group_tiles(shape, tile, shard, itemsize=1, aim=aim)

    for n, b, t, w in zip(shape, block, tile, shard, strict=True):
        assert (b % t == 0 and b % w == 0) or b >= n


@given(cases())
def test_blocks_grow_to_the_aim_and_not_above(case):
    """A block is no larger than the aim unless a single tile and write chunk already are."""
    shape, tile, shard, aim = case
    points = [
        math.prod(min(b, n) for b, n in zip(group_tiles(shape, tile, shard, itemsize=4, aim=a), shape, strict=True))
        for a in (0, aim)
    ]

    assert points[0] <= points[1] <= max(points[0], aim // 4)


def most_open(shape, tile, block, shard):
    """Return the shards that are begun and not complete at once, tile by tile as the writer sees them."""
    tiles, shards = ChunkGrid.over(shape, tile), ChunkGrid.over(shape, shard)
    most, left = 0, {}
    for box in ChunkGrid.over(shape, block).coords():
        for coord in tiles.coords(ChunkGrid.over(shape, block).region(box)):
            region = tiles.region(coord)
            for key in shards.coords(region):
                left.setdefault(key, shards.region(key).size)
                most = max(most, len(left))
                left[key] -= shards.region(key).intersect(region).size
                if not left[key]:
                    del left[key]
        assert not left
    return most


@given(cases())
def test_open_shards_are_bounded(case):
    """The bound is never below what the writer holds open, and seldom far above."""
    shape, tile, shard, aim = case
    block = group_tiles(shape, tile, shard, itemsize=1, aim=aim)
    counted = most_open(shape, tile, block, shard)

    assert counted <= count_open(shape, tile, block, shard) <= 4 * max(1, counted) + 1


def test_blocks_do_not_grow_where_shards_would_stay_open():
    """Rows of many shards that a tile cuts through are separate blocks, however large a block may be."""
    block = group_tiles((1000, 100_000), (10, 100), (1000, 10), itemsize=1, aim=10**9)

    assert block == (1000, 100)
    assert count_open((1000, 100_000), (10, 100), block, (1000, 10)) == 11


def test_plan_of_an_array_survives_json():
    """Tuples, missing shards and names of dimensions come back as they were."""
    assert ArrayPlan.from_json(json.loads(json.dumps(PLAN.to_json()))) == PLAN
    assert layout_from_json(json.loads(json.dumps(PLAN.to_json()))["source"]) == SOURCE


def test_figures_of_several_passes():
    """Memory is that of the largest pass; one intermediate of two passes takes the box once."""
    assert PLAN.projected_mem == 3000
    assert PLAN.scratch_bytes == 12 * 10 * 8
    assert PLAN.reread == 3.0


def test_three_passes_hold_two_intermediates():
    """While the middle pass runs, both intermediates are there."""
    passes = (TWO[0], Pass("scratch", "scratch", (6, 6), (6, 6), 2, 2, 1), TWO[1])
    plan = ArrayPlan("", SOURCE, TARGET, "driver", "driver", (6, 10), passes, 10)

    assert plan.scratch_bytes == 2 * 6 * 10 * 8


def test_one_pass_needs_no_scratch():
    """Nothing lies between source and target."""
    one = Pass("stored", "stored", (12, 10), (12, 10), 1, 1, 5)
    plan = ArrayPlan("", SOURCE, TARGET, "driver", "driver", (12, 10), (one,), 10)

    assert (plan.scratch_bytes, plan.reread) == (0, 1.0)


def test_nothing_to_read_is_read_zero_times():
    """An array without chunks has no average."""
    empty = ArrayLayout((0, 5), "float64", 8, (1, 5))
    one = Pass("stored", "stored", (1, 5), (1, 5), 1, 1, 5)

    assert ArrayPlan("", empty, empty, "driver", "driver", (1, 5), (one,), 0).reread == 0.0
