"""execute/shard_writer.py: inner chunks streamed into shards, read back by zarr-python."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.cases import folder, quiet, regions
from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.codecs.shard import IndexFormat
from zarrmill.execute.chunk_files import KeyEncoding
from zarrmill.execute.keys import add_terms, key_term
from zarrmill.execute.shard_writer import ShardWriter
from zarrmill.execute.sinks import FileSinks
from zarrmill.grid import ChunkGrid, Region


def make(path, shape, chunks, shards, *, checksums=False):
    """Return a writer of the shards of an array whose metadata zarr-python writes."""
    with quiet():
        zarr.create_array(path, shape=shape, chunks=chunks, shards=shards, dtype="u2", compressors=None, fill_value=0)
    count = int(np.prod([s // c for s, c in zip(shards, chunks, strict=True)]))
    return ShardWriter(
        FileSinks(path),
        path="a",
        keys=KeyEncoding("c", "/"),
        grid=ChunkGrid.over(shape, chunks),
        shards=shards,
        index=IndexFormat(count),
        checksums=checksums,
    )


def producer(values, chunks, grid):
    """Return a function that makes chunks of an array, None for those of zeros, in any thread."""

    def produce(coords):
        made = []
        for coord in coords:
            region = grid.region(coord)
            chunk = np.zeros(chunks, "u2")
            chunk[tuple(map(slice, region.shape))] = values[region.slices]
            made.append(chunk.tobytes() if chunk.any() else None)
        return made

    return produce


@st.composite
def cases(draw):
    shape = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    chunks = tuple(draw(st.integers(1, n + 1)) for n in shape)
    shards = tuple(c * draw(st.integers(1, 3)) for c in chunks)
    tile = tuple(c * draw(st.integers(1, 4)) for c in chunks)
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 9, shape, dtype="u2")
    values[values < draw(st.sampled_from([0, 5, 9]))] = 0
    return shape, chunks, shards, tile, values


@given(case=cases(), threads=st.integers(1, 3))
def test_zarr_python_reads_what_is_streamed(case, threads):
    """Tiles of whole chunks in C order, of any shape, make shards that zarr-python reads; the account is the files'."""
    shape, chunks, shards, tile, values = case
    grid = ChunkGrid.over(shape, chunks)
    with folder() as path, ThreadPoolExecutor(threads) as pool:
        writer = make(path / "a", shape, chunks, shards, checksums=True)
        for region in regions(shape, tile):
            box = Region(tuple(s.start for s in region), tuple(s.stop for s in region))
            writer.write(box, producer(values, chunks, grid), chunk_nbytes=50, pool=pool)
        written = writer.finish()
        files = {f"a/{p.relative_to(path / 'a')}": p.read_bytes() for p in (path / "a/c").rglob("*") if p.is_file()}
        terms = 0
        for key, data in files.items():
            terms = add_terms(terms, key_term(key, len(data)))

        assert np.array_equal(zarr.open_array(path / "a", mode="r")[...], values)
        assert (written.keys, written.nbytes, written.terms) == (len(files), sum(map(len, files.values())), terms)
        assert written.keys + written.empty == len(ChunkGrid.over(shape, shards))
        assert written.checksums == {key: crc32c(data) for key, data in files.items()}
        assert len(files) == sum(bool(values[region].any()) for region in regions(shape, shards))


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as made:
        yield made


def test_inner_chunks_lie_in_c_order(tmp_path, pool):
    """Whatever thread encodes first, chunks are appended in order, so that a shard has the same bytes every time."""
    values = np.arange(1, 65, dtype="u2").reshape(8, 8)
    writer = make(tmp_path / "a", (8, 8), (2, 2), (8, 8))
    writer.write(
        Region.whole((8, 8)), producer(values, (2, 2), ChunkGrid.over((8, 8), (2, 2))), chunk_nbytes=8, pool=pool
    )
    writer.finish()
    data = (tmp_path / "a/c/0/0").read_bytes()
    chunks = [values[region] for region in regions((8, 8), (2, 2))]

    assert data[:-260] == b"".join(chunk.tobytes() for chunk in chunks)


def test_block_that_ends_inside_a_shard_is_a_bug(tmp_path, pool):
    """A shard without its index would be lost, so finishing inside one is refused."""
    writer = make(tmp_path / "a", (8,), (2,), (8,))
    produce = producer(np.ones(8, "u2"), (2,), ChunkGrid.over((8,), (2,)))
    writer.write(Region((0,), (4,)), produce, chunk_nbytes=4, pool=pool)

    with pytest.raises(RuntimeError, match="a block owns whole shards"):
        writer.finish()
    writer.abandon()
    assert writer.finish().keys == 0


def test_attempt_after_a_failure_writes_whole_shards(tmp_path, pool):
    """What a failed attempt has left is written over, closed, and not counted."""
    writer = make(tmp_path / "a", (8,), (2,), (8,))
    values = np.arange(1, 9, dtype="u2")
    produce = producer(values, (2,), ChunkGrid.over((8,), (2,)))
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

    def broken(coords):
        if (3,) in coords:
            raise ValueError("no")
        return produce(coords)

    with pytest.raises(ValueError, match="no"):
        writer.write(Region((0,), (8,)), broken, chunk_nbytes=2**20, pool=pool)
    writer.abandon()
    assert not before or len(os.listdir("/proc/self/fd")) <= before
    writer.write(Region((0,), (8,)), produce, chunk_nbytes=4, pool=pool)

    assert writer.finish().keys == 1
    assert zarr.open_array(tmp_path / "a", mode="r")[:].tolist() == values.tolist()


def test_shard_that_became_empty_is_removed(tmp_path, pool):
    """A shard that another attempt wrote, and that holds nothing, leaves no file."""
    writer = make(tmp_path / "a", (4,), (2,), (4,))
    (tmp_path / "a/c").mkdir()
    (tmp_path / "a/c/0").write_bytes(b"old")
    writer.write(Region((0,), (4,)), lambda coords: [None for _ in coords], chunk_nbytes=4, pool=pool)

    assert writer.finish().empty == 1
    assert not (tmp_path / "a/c/0").exists()
