"""execute/chunk_files.py: encoded chunks in files, as zarr-python names and writes them."""

from __future__ import annotations

import os

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec

from tests.properties.cases import quiet
from zarrmill.errors import SourceFormatError
from zarrmill.execute.chunk_files import ChunkFiles, KeyEncoding, ShardFiles, batch, read_fully, write_fully
from zarrmill.execute.opening import StoredArray, encoded_chunks
from zarrmill.grid import ChunkGrid, Region
from zarrmill.hierarchy import read_hierarchy
from zarrmill.metadata import layout_of
from zarrmill.plan.memory import RUN_BYTES
from zarrmill.store import open_store


def stored(path):
    opened = open_store(path)
    node = read_hierarchy(opened).nodes[""]
    return StoredArray(opened, "", node.metadata, layout_of(node))


@pytest.mark.parametrize("name", ["default", "v2"])
@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("coord", [(), (0,), (3, 0, 12)], ids=str)
def test_keys_are_those_of_zarr_python(name, separator, coord):
    """Each encoding, separator and number of axes gives the key that zarr-python writes."""
    array = zarr.create_array(
        {},
        shape=(100,) * len(coord),
        chunks=(1,) * len(coord),
        dtype="u1",
        chunk_key_encoding={"name": name, "separator": separator},
    )
    encoding = KeyEncoding.of(array.metadata.to_dict())

    assert encoding.key(coord) == array.metadata.encode_chunk_key(coord)


def test_keys_of_documents_without_a_separator():
    """The format has a default for each encoding."""
    assert KeyEncoding.of({"chunk_key_encoding": {"name": "default"}}).key((1, 2)) == "c/1/2"
    assert KeyEncoding.of({"chunk_key_encoding": {"name": "v2"}}).key((1, 2)) == "1.2"


@given(count=st.integers(0, 500), chunk_nbytes=st.integers(0, 2 * RUN_BYTES), threads=st.integers(1, 16))
def test_batches_cover_all_and_serve_every_thread(count, chunk_nbytes, threads):
    """Each coordinate comes once and in order, in pieces of at most a run and in enough of them for all threads."""
    grid = ChunkGrid.over((2 * count,), (2,))
    coords = [(i,) for i in range(count)]
    pieces = list(batch(grid, grid.domain, chunk_nbytes=chunk_nbytes, threads=threads))

    assert [c for piece in pieces for c in piece] == coords
    assert all(len(piece) == 1 or len(piece) * chunk_nbytes <= RUN_BYTES for piece in pieces)
    assert len(pieces) >= min(count, threads)


@given(st.lists(st.binary(max_size=20), max_size=8).map(lambda parts: parts * 90))
def test_many_buffers_are_written_as_one(parts):
    """More buffers than one system call takes, and empty ones, are appended in order."""
    read, write = os.pipe()
    try:
        total = write_fully(write, parts)
        os.close(write)
        with os.fdopen(read, "rb") as file:
            assert file.read() == b"".join(parts)
        assert total == sum(map(len, parts))
    except BaseException:
        os.close(read)
        raise


def test_partial_writes_are_continued(tmp_path, monkeypatch):
    """A write that takes fewer bytes than given goes on where it stopped."""
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, views: real(fd, [views[0][:3]]))
    with open(tmp_path / "f", "wb") as file:
        assert write_fully(file.fileno(), [b"0123456789", b"", b"abcdef"]) == 16

    assert (tmp_path / "f").read_bytes() == b"0123456789abcdef"


def test_partial_reads_are_continued(tmp_path, monkeypatch):
    """A read that gives fewer bytes than asked goes on; the end of the file ends it."""
    (tmp_path / "f").write_bytes(bytes(range(50)))
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, views, offset: real(fd, [views[0][:7]], offset))
    with open(tmp_path / "f", "rb") as file:
        buffer = bytearray(60)
        assert read_fully(file.fileno(), memoryview(buffer), 10) == 40

    assert bytes(buffer[:40]) == bytes(range(10, 50))


def test_missing_chunks_are_none(tmp_path):
    """A chunk without a file is missing, and so is one without its folder."""
    chunks = ChunkFiles(tmp_path / "none", keys=KeyEncoding("c", "/"), grid=ChunkGrid.over((9,), (3,)), chunk_nbytes=3)

    assert chunks.read([(1,)])[0] is None


def test_chunks_larger_than_expected_are_read_whole(tmp_path):
    """A codec may make more of a chunk than the bound; the file is still read to its end."""
    (tmp_path / "0").write_bytes(bytes(100_000))
    (tmp_path / "1").write_bytes(b"small")
    chunks = ChunkFiles(tmp_path, keys=KeyEncoding("", "."), grid=ChunkGrid.over((9,), (3,)), chunk_nbytes=3)

    assert len(chunks.read([(0,)])[0]) == 100_000
    assert bytes(chunks.read([(1,)])[0]) == b"small"


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
def test_inner_chunks_of_zarr_python_are_found(tmp_path, location, order):
    """Every inner chunk of every shard is read, in any order of access; missing ones and missing shards are None."""
    codec = ShardingCodec(
        chunk_shape=(2, 3), codecs=[BytesCodec()], index_codecs=[BytesCodec(), Crc32cCodec()], index_location=location
    )
    with quiet():
        array = zarr.create_array(
            tmp_path / "a", shape=(7, 11), chunks=(4, 9), dtype="u1", serializer=codec, compressors=None, fill_value=0
        )
        values = np.arange(1, 78, dtype="u1").reshape(7, 11)
        values[:2, :3] = 0
        array[:4] = values[:4]
    chunks = encoded_chunks(stored(tmp_path / "a"))
    grid = ChunkGrid.over((7, 11), (2, 3))

    for coord in sorted(grid.coords(), key=lambda c: tuple(c[a] for a in order)):
        region = grid.region(coord)
        (encoded,) = chunks.read([coord])
        if coord == (0, 0) or coord[0] > 1:
            assert encoded is None
        else:
            found = np.frombuffer(encoded, "u1").reshape(2, 3)[tuple(map(slice, region.shape))]
            assert np.array_equal(found, values[region.slices])


def test_batches_of_shards_stay_in_one_shard(tmp_path):
    """Chunks that are read together lie in one file, and all that touch the region come once."""
    with quiet():
        zarr.create_array(tmp_path / "a", shape=(20, 20), chunks=(2, 2), shards=(6, 10), dtype="u1")
    region = Region((3, 1), (17, 20))
    pieces = [batch.coords for batch in encoded_chunks(stored(tmp_path / "a")).batches(region, threads=2)]

    assert sorted(c for piece in pieces for c in piece) == list(ChunkGrid.over((20, 20), (2, 2)).coords(region))
    assert all(len({(i // 3, j // 5) for i, j in piece}) == 1 for piece in pieces)


@pytest.fixture
def shard(tmp_path):
    with quiet():
        array = zarr.create_array(
            tmp_path / "a", shape=(400,), chunks=(100,), shards=(400,), dtype="u1", compressors=None
        )
        array[...] = 7
    return encoded_chunks(stored(tmp_path / "a")), tmp_path / "a/c/0"


@pytest.mark.parametrize("left", [0, 10, 67], ids=str)
def test_shards_shorter_than_their_index_are_told(shard, left):
    """A shard that ends inside its index is damaged, not empty."""
    chunks, path = shard
    os.truncate(path, left)

    with pytest.raises(SourceFormatError, match="cut short"):
        chunks.read([(0,)])[0]


def test_shards_without_some_of_their_chunks_are_told(shard):
    """An index that points behind the end of its file is damaged."""
    chunks, path = shard
    data = path.read_bytes()
    path.write_bytes(data[350:])

    with pytest.raises(SourceFormatError, match="ends before byte"):
        chunks.read([(3,)])[0]


def test_index_with_an_impossible_length_is_told(tmp_path):
    """A chunk of gigabytes in the index of a small array is an error and not an allocation."""
    with quiet():
        zarr.create_array(tmp_path / "a", shape=(40,), chunks=(10,), shards=(40,), dtype="u1", compressors=None)[
            ...
        ] = 7
    array = stored(tmp_path / "a")
    index_format = array.index_format()
    data = (tmp_path / "a/c/0").read_bytes()
    index = index_format.decode(data[-index_format.nbytes :]).copy()
    index[2, 1] = 2**40
    (tmp_path / "a/c/0").write_bytes(data[: -index_format.nbytes] + index_format.encode(index))
    chunks = encoded_chunks(array)

    assert isinstance(chunks, ShardFiles)
    with pytest.raises(SourceFormatError, match="at most"):
        chunks.read([(2,)])[0]
    assert chunks.key((2,)) == "c/0 (inner chunk (2,))"
