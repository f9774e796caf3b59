"""execute/tile_writer.py: tiles written through zarr-python, whole or in pieces."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.dtype import VariableLengthBytes
from zarr.storage import MemoryStore

from tests.properties.cases import RECORD, fill_value, folder, full, quiet, random_values, same_bits
from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.execute.chunk_files import KeyEncoding
from zarrmill.execute.sinks import FileSinks
from zarrmill.execute.tile_writer import ZarrWriter, is_filled
from zarrmill.execute.tiles import TileBuffer, cut
from zarrmill.grid import ChunkGrid, Region
from zarrmill.keyspace.local import LocalKeys

POOL = ThreadPoolExecutor(1)


def least_axes(dtype):
    """Return 1 for what zarr-python cannot write without axes: releases after 3.1 take such bytes for an array."""
    if dtype != "bytes":
        return 0
    with quiet():
        array = zarr.create_array(MemoryStore(), shape=(), dtype=VariableLengthBytes())
        try:
            array[...] = b"a"
        except TypeError:
            return 1
    return 0


LEAST_AXES = {dtype: least_axes(dtype) for dtype in ("record", "string", "bytes", "f8")}


@given(data=st.data(), dtype=st.sampled_from(list(LEAST_AXES)))
def test_tiles_in_any_pieces_are_written(data, dtype):
    """Write chunks are put together from the pieces of a tile; the account is that of the files."""
    shape = tuple(data.draw(st.lists(st.integers(1, 7), min_size=LEAST_AXES[dtype], max_size=3)))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    cuts = ChunkGrid.over(shape, tuple(data.draw(st.integers(1, n)) for n in shape))
    values = random_values(dtype, shape, np.random.default_rng(data.draw(st.integers(0, 99))))
    fill = fill_value(dtype, "other")
    with folder() as path, quiet():
        kind = {"record": RECORD, "string": str, "bytes": VariableLengthBytes()}.get(dtype, dtype)
        array = zarr.create_array(path / "a", shape=shape, chunks=chunks, dtype=kind, fill_value=fill)
        grid = ChunkGrid.over(shape, chunks)
        writer = ZarrWriter(
            array,
            made=LocalKeys(path / "a"),
            sinks=FileSinks(path / "a"),
            path="a",
            keys=KeyEncoding("c", "/"),
            grid=grid,
            fill=full((), fill, values.dtype),
            checksums=True,
        )
        region = Region.whole(shape)
        tile = TileBuffer(region, cut(region, cuts if dtype in ("record", "f8") else None), values.dtype, None)
        tile.put(region, values)
        writer.write(tile, POOL)
        written = writer.finish()
        files = {f"a/{p.relative_to(path / 'a')}": p.read_bytes() for p in (path / "a").rglob("c*") if p.is_file()}
        files |= {f"a/{p.relative_to(path / 'a')}": p.read_bytes() for p in (path / "a/c").rglob("*") if p.is_file()}
        found = full(shape, array[...], values.dtype)

        assert same_bits(found, values)
        assert written.keys == len(files)
        assert written.nbytes == sum(map(len, files.values()))
        assert written.checksums == {key: crc32c(data) for key, data in files.items()}
        assert written.keys + written.empty == len(grid)


@pytest.mark.parametrize(
    ("values", "fill", "expected"),
    [
        (np.zeros(3), np.array(0.0), True),
        (np.array([0.0, -0.0]), np.array(0.0), False),
        (np.array([np.nan, np.nan]), np.array(np.nan), True),
        (np.array([], "f8"), np.array(1.0), True),
        (np.array(["n/a", "n/a"], np.dtypes.StringDType()), np.array("n/a", np.dtypes.StringDType()), True),
        (np.array(["n/a", ""], np.dtypes.StringDType()), np.array("n/a", np.dtypes.StringDType()), False),
        (np.array([b"", b""], object), np.array(b"", object), True),
        (np.zeros((4, 4), RECORD)[::2, 1:], np.zeros((), RECORD), True),
        (np.array("NaT", "M8[s]"), np.array("NaT", "M8[s]"), True),
    ],
    ids=str,
)
def test_is_filled_compares_bits(values, fill, expected):
    """Values of a fixed size are compared by their bits, others by what they are."""
    assert is_filled(values, fill) is expected
