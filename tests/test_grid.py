"""grid.py: regions and chunk grids against counting and against numpy's own slicing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.grid import ChunkGrid, Region, ceil_div, round_up, touches


@st.composite
def regions(draw, shape):
    pairs = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in shape]
    return Region(tuple(a for a, _ in pairs), tuple(b for _, b in pairs))


shapes = st.lists(st.integers(0, 9), max_size=3).map(tuple)


@st.composite
def grids(draw):
    """A grid over a part of an array, as those of independent boxes are."""
    domain = draw(regions(draw(shapes)))
    return ChunkGrid(domain, tuple(draw(st.integers(1, 5)) for _ in domain.start))


def points(region):
    return set(itertools.product(*map(range, region.start, region.stop)))


@given(a=st.integers(0, 10**20), b=st.integers(1, 10**10))
def test_ceil_div_and_round_up_are_exact_for_integers_of_any_size(a, b):
    """No float takes part: b * ceil_div(a, b) is the smallest multiple of b that is not below a."""
    assert ceil_div(a, b) * b == round_up(a, b)
    assert a <= round_up(a, b) < a + b


@given(st.data())
def test_region_is_a_numpy_index(data):
    """Shape, size and slices are those of the part that numpy cuts out."""
    shape = data.draw(shapes)
    region = data.draw(regions(shape))
    part = np.empty(shape)[region.slices]

    assert (part.shape, part.size) == (region.shape, region.size)


@given(st.data())
def test_intersection_holds_the_common_points(data):
    """The intersection has the points that lie in both, and is None where there are none."""
    shape = data.draw(shapes)
    a, b = data.draw(regions(shape)), data.draw(regions(shape))
    common = a.intersect(b)

    assert points(a) & points(b) == (points(common) if common is not None else set())


@given(st.data())
def test_slices_in_an_outer_region_cut_out_the_same_values(data):
    """An index into an array that holds just the outer region finds the same values."""
    shape = data.draw(shapes)
    outer = data.draw(regions(shape))
    inner = Region(
        outer.start, tuple(data.draw(st.integers(a, b)) for a, b in zip(outer.start, outer.stop, strict=True))
    )
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)

    assert np.array_equal(values[outer.slices][inner.slices_in(outer)], values[inner.slices])


def test_region_of_no_axes_is_one_point():
    """The region of a 0-d array has one point and meets itself."""
    region = Region.whole(())

    assert region.size == 1
    assert region.intersect(region) == region


def test_region_prints_as_slices():
    """People see a region the way they would write it."""
    assert str(Region((0, 5), (3, 10))) == "[0:3, 5:10]"


@given(grids())
def test_boxes_cover_the_domain_exactly_once(grid):
    """Every point of the domain lies in one box, and there are as many boxes as the grid says."""
    boxes = [points(grid.region(coord)) for coord in grid.coords()]

    assert len(boxes) == len(grid)
    assert sum(map(len, boxes)) == grid.domain.size
    assert set().union(*boxes) == points(grid.domain)


@given(grids())
def test_coord_counts_in_c_order(grid):
    """The index-th coordinate is the index-th that the grid yields."""
    assert [grid.coord(i) for i in range(len(grid))] == list(grid.coords())


@given(st.data())
def test_coords_of_a_region_are_the_boxes_that_touch_it(data):
    """Boxes that share a point with a region, in C order."""
    grid = data.draw(grids())
    domain = grid.domain
    inside = data.draw(regions(domain.shape))
    region = Region(*(tuple(map(sum, zip(domain.start, end, strict=True))) for end in (inside.start, inside.stop)))
    if region.size == 0 and region.shape:
        return
    expected = [coord for coord in grid.coords() if grid.region(coord).intersect(region) is not None]

    assert list(grid.coords(region)) == expected
    assert grid.box(region).size == len(expected)


@given(n=st.integers(0, 60), chunk=st.integers(1, 20), tile=st.integers(1, 20))
def test_touches_counts_overlapping_pairs(n, chunk, tile):
    """The closed form is the number of (chunk, tile) pairs that share an index."""
    pairs = {(i // chunk, i // tile) for i in range(n)}

    assert touches(n, chunk, tile) == len(pairs)


@pytest.mark.parametrize("n", [10**9, 10**15], ids=str)
def test_touches_takes_no_time_for_long_axes(n):
    """The count is a formula, not a loop."""
    assert touches(n, 1000, 1000) == n // 1000
