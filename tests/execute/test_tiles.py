"""execute/tiles.py: tiles in pieces, and chunks moved in and out of them, against numpy's own indexing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.execute.tiles import Arena, TileBuffer, Window, cut, pieces_of, tile_nbytes
from zarrmill.grid import ChunkGrid, Region
from zarrmill.plan.memory import PAGE


@st.composite
def tiles(draw):
    """An array, a tile of it, the grid that cuts the tile into pieces (over a box around it), and a chunk shape."""
    ndim = draw(st.integers(0, 3))
    shape = tuple(draw(st.integers(1, 9)) for _ in range(ndim))
    low = [draw(st.integers(0, n - 1)) for n in shape]
    tile = Region(tuple(low), tuple(draw(st.integers(a + 1, n)) for a, n in zip(low, shape, strict=True)))
    corner = tuple(draw(st.integers(0, a)) for a in low)
    cuts = ChunkGrid(Region(corner, shape), tuple(draw(st.integers(1, 5)) for _ in shape))
    chunks = tuple(draw(st.integers(1, 5)) for _ in shape)
    return shape, tile, draw(st.sampled_from([None, cuts])), chunks


def make(tile, cuts, dtype="i8"):
    edges = cut(tile, cuts)
    memory = Arena(tile_nbytes(edges, np.dtype(dtype).itemsize)).memory
    return TileBuffer(tile, edges, np.dtype(dtype), memory)


def whole(buffer):
    """Return the values of a tile as one array."""
    values = np.empty(buffer.region.shape, buffer.dtype)
    for _, region, _ in pieces_of(buffer.edges, buffer.dtype.itemsize):
        coord = next(c for c, r, _ in pieces_of(buffer.edges, buffer.dtype.itemsize) if r == region)
        values[region.slices_in(buffer.region)] = buffer.pieces[coord]
    return values


@given(tiles())
def test_pieces_cover_the_tile_on_pages_of_their_own(case):
    """Pieces cover the tile once, follow the boxes of the grid, and begin on pages without overlap."""
    _, tile, cuts, _ = case
    edges = cut(tile, cuts)
    covered = np.zeros(tile.shape, int)
    end = 0
    for _, region, offset in pieces_of(edges, 8):
        covered[region.slices_in(tile)] += 1
        assert offset % PAGE == 0
        assert offset >= end
        end = offset + 8 * region.size
        if cuts is not None:
            assert len(list(cuts.coords(region))) == 1

    assert (covered == 1).all()
    assert end <= tile_nbytes(edges, 8)


@given(tiles())
def test_scattered_chunks_make_the_tile(case):
    """Every chunk that touches a tile, put in whole, leaves the tile with the values of the array."""
    shape, tile, cuts, chunks = case
    grid = ChunkGrid.over(shape, chunks)
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    buffer = make(tile, cuts)
    window = Window(buffer, chunks)
    for coord in grid.coords(tile):
        chunk = np.full(chunks, -1)
        region = grid.region(coord)
        chunk[tuple(map(slice, region.shape))] = values[region.slices]
        window.scatter(coord, chunk)

    assert np.array_equal(whole(buffer), values[tile.slices])


@given(tiles())
def test_gathered_chunks_are_those_of_the_array(case):
    """Each chunk taken out of a tile has the tile's part of it, and keeps what is outside as it was."""
    shape, tile, cuts, chunks = case
    grid = ChunkGrid.over(shape, chunks)
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    buffer = make(tile, cuts)
    buffer.put(Region.whole(shape), values)
    window = Window(buffer, chunks)
    for coord in grid.coords(tile):
        expected = np.full(chunks, -1)
        region = grid.region(coord)
        part = region.intersect(tile)
        here = Region(region.start, tuple(a + c for a, c in zip(region.start, chunks, strict=True)))
        expected[part.slices_in(here)] = values[part.slices]

        assert np.array_equal(window.gather(coord, np.full(chunks, -1)), expected)


@given(tiles())
def test_put_sets_the_part_in_the_tile(case):
    """A region that sticks out of a tile on any side is put as far as it reaches."""
    shape, tile, cuts, _ = case
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    buffer = make(tile, cuts)
    buffer.put(Region.whole(shape), values)

    assert np.array_equal(whole(buffer), values[tile.slices])


@given(tiles())
def test_overlap_is_the_part_in_the_tile(case):
    """The overlap tells where the tile's part of a chunk starts, and its indices in the chunk."""
    shape, tile, cuts, chunks = case
    grid = ChunkGrid.over(shape, chunks)
    window = Window(make(tile, cuts), chunks)
    for coord in grid.coords(tile):
        start, inside = window.overlap(coord)
        base = tuple(i * c for i, c in zip(coord, chunks, strict=True))
        chunk = Region(base, tuple(a + c for a, c in zip(base, chunks, strict=True)))
        part = chunk.intersect(tile)

        assert start == part.start
        assert (inside is None) == (part == chunk)
        assert inside is None or inside == part.slices_in(chunk)


def test_one_value_fills_the_part_of_a_missing_chunk():
    """A missing chunk is put in as one value."""
    buffer = make(Region((2,), (9,)), ChunkGrid.over((12,), (5,)))
    window = Window(buffer, (4,))
    for coord, value in (((0,), 0), ((1,), 1), ((2,), 2)):
        window.scatter(coord, np.array(value))

    assert whole(buffer).tolist() == [0, 0, 1, 1, 1, 1, 2]


def test_contiguous_chunks_are_not_copied():
    """A chunk that lies in one stretch of the tile is a view, others are gathered."""
    buffer = make(Region((0, 0), (4, 6)), None)
    own = np.empty((2, 6), "i8")

    assert Window(buffer, (2, 6)).gather((1, 0), own) is not own
    assert Window(buffer, (2, 3)).gather((1, 0), np.empty((2, 3), "i8")).base is None


@pytest.mark.parametrize("nbytes", [0, 1, PAGE, PAGE + 1], ids=str)
def test_arenas_are_whole_pages(nbytes):
    """Files can be read into any arena past the page cache."""
    arena = Arena(nbytes)

    assert arena.nbytes >= max(1, nbytes)
    assert arena.nbytes % PAGE == 0
    assert arena.memory.ctypes.data % PAGE == 0


def test_objects_have_no_memory():
    """Values of variable length are kept in arrays of their own."""
    edges = cut(Region((0,), (4,)), None)
    tile = TileBuffer(Region((0,), (4,)), edges, np.dtype("O"), None)
    tile.put(Region((0,), (4,)), np.array(["a", "b", "c", "d"], object))

    assert tile.memory is None
    assert list(itertools.chain(*tile.pieces.values())) == ["a", "b", "c", "d"]
