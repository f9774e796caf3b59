"""execute/encoder.py: chunks out of tiles, encoded; those of nothing but the fill value left out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.cases import FIXED, fill_value, full, random_values
from zarrmill.codecs.chain import CodecChain
from zarrmill.execute.encoder import COMPARED, Encoder
from zarrmill.execute.records import Records
from zarrmill.execute.tiles import TileBuffer, cut
from zarrmill.grid import ChunkGrid, Region

PLAIN = ['{"name":"bytes","configuration":{"endian":"little"}}']


def make(values, chunks, fill, *, codecs=PLAIN):
    """Return an encoder of a whole array in one tile, its window, and its grid."""
    dtype, shape = values.dtype, values.shape
    records = Records.of(dtype, shape, [chunks])
    grid = ChunkGrid.over(shape, chunks)
    encoder = Encoder(CodecChain(codecs, dtype=dtype, chunk=chunks), grid=grid, records=records, fill=fill)
    region = records.region(Region.whole(shape))
    tile = TileBuffer(region, cut(region, None), records.dtype, None)
    tile.put(region, records.of_values(values))
    return encoder, encoder.window(tile), grid


@st.composite
def cases(draw):
    dtype = draw(st.sampled_from(FIXED))
    shape = tuple(draw(st.lists(st.integers(1, 6), max_size=3)))
    chunks = tuple(draw(st.integers(1, n + 1)) for n in shape)
    fill = full((), fill_value(dtype, draw(st.sampled_from(["zero", "odd", "negative zero"]))), np.dtype(dtype))
    return random_values(dtype, shape, np.random.default_rng(draw(st.integers(0, 99)))), chunks, fill


@given(cases())
def test_chunks_are_their_values_padded_with_the_fill_value(case):
    """An edge chunk has the fill value where the array ends; a chunk of it alone, by bits, is not stored."""
    values, chunks, fill = case
    values = values.copy()
    values.reshape(-1)[::2] = fill
    encoder, window, grid = make(values, chunks, fill)
    for coord, encoded in zip(grid.coords(), encoder.encode(window, list(grid.coords())), strict=True):
        region = grid.region(coord)
        padded = full(chunks, fill, values.dtype)
        padded[tuple(map(slice, region.shape))] = values[region.slices]
        expected = padded.tobytes()

        assert encoded == (None if expected == fill.tobytes() * padded.size else expected)


@pytest.mark.parametrize(
    ("fill", "value"),
    [(0.0, -0.0), (-0.0, 0.0), (np.nan, -np.nan), (0.0, 5e-324)],
    ids=["negative zero", "positive zero", "other NaN", "smallest"],
)
def test_fill_value_is_compared_by_bits(fill, value):
    """What is equal by number but not by bits is stored."""
    values = np.full((2, 4), fill)
    values[1, 3] = value
    encoder, window, _ = make(values, (1, 4), np.array(fill))

    assert [data is None for data in encoder.encode(window, [(0, 0), (1, 0)])] == [True, False]


def test_the_last_byte_of_a_large_chunk_decides():
    """Large chunks are compared in parts, to the end."""
    values = np.zeros((1, 3 * COMPARED + 5), "u1")
    encoder, window, _ = make(values, values.shape, np.zeros((), "u1"))
    assert encoder.encode(window, [(0, 0)]) == [None]

    values[0, -1] = 1
    encoder, window, _ = make(values, values.shape, np.zeros((), "u1"))
    assert encoder.encode(window, [(0, 0)]) == [values.tobytes()]


def test_threads_do_not_mix_their_chunks():
    """Strided chunks are gathered by each thread in memory of its own."""
    values = np.arange(40_000, dtype="i4").reshape(200, 200)
    zstd = [*PLAIN, '{"name":"zstd","configuration":{"level":1}}']
    encoder, window, grid = make(values, (20, 20), np.zeros((), "i4"), codecs=zstd)
    chain = CodecChain(zstd, dtype=np.dtype("i4"), chunk=(20, 20))

    def right(coord):
        (encoded,) = encoder.encode(window, [coord])
        return np.array_equal(chain.decode(encoded), values[grid.region(coord).slices])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(right, list(grid.coords()) * 5))
