"""execute/chunk_writer.py: chunks in files of their own, and the account of them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.execute.chunk_files import KeyEncoding
from zarrmill.execute.chunk_writer import ChunkWriter
from zarrmill.execute.keys import add_terms, key_term
from zarrmill.execute.sinks import FileSinks
from zarrmill.grid import ChunkGrid, Region


@pytest.fixture
def pool():
    with ThreadPoolExecutor(3) as made:
        yield made


def writer(root, *, separator="/", checksums=False):
    grid = ChunkGrid.over((10, 9), (3, 3))
    return ChunkWriter(FileSinks(root), path="a/b", keys=KeyEncoding("c", separator), grid=grid, checksums=checksums)


def content(coord):
    return None if sum(coord) % 3 == 0 else f"{coord}".encode() * (1 + coord[0])


def produce(coords):
    return [content(coord) for coord in coords]


WHOLE = Region((0, 0), (10, 9))


@pytest.mark.parametrize("separator", ["/", "."], ids=["slash", "dot"])
def test_each_chunk_is_a_file(tmp_path, pool, separator):
    """Chunks lie under their keys with the bytes that were produced; empty ones have no file."""
    made = writer(tmp_path, separator=separator)
    made.write(WHOLE, produce, chunk_nbytes=9, pool=pool)
    made.finish()

    for coord in ChunkGrid.over((10, 9), (3, 3)).coords():
        path = tmp_path / f"c{separator}{separator.join(map(str, coord))}"
        assert path.exists() == (content(coord) is not None)
        assert not path.exists() or path.read_bytes() == content(coord)


def test_account_is_that_of_the_files(tmp_path, pool):
    """Bytes, keys, empty ones, fingerprint and checksums are those of what lies on the disk; a second call has none."""
    made = writer(tmp_path, checksums=True)
    made.write(WHOLE, produce, chunk_nbytes=9, pool=pool)
    written = made.finish()
    files = {f"a/b/{p.relative_to(tmp_path)}": p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    terms = 0
    for key, data in files.items():
        terms = add_terms(terms, key_term(key, len(data)))

    assert (written.keys, written.nbytes, written.terms) == (len(files), sum(map(len, files.values())), terms)
    assert written.keys + written.empty == 12
    assert written.checksums == {key: crc32c(data) for key, data in files.items()}
    assert made.finish().keys == 0


def test_only_the_region_is_written(tmp_path, pool):
    """Chunks outside of the region are never produced."""
    seen = []
    writer(tmp_path).write(Region((3, 0), (6, 9)), lambda c: seen.extend(c) or produce(c), chunk_nbytes=9, pool=pool)

    assert sorted(seen) == [(1, 0), (1, 1), (1, 2)]


def test_writing_again_leaves_the_same_files(tmp_path, pool):
    """A block is idempotent: longer leftovers of another attempt are cut, and files of empty chunks removed."""
    made = writer(tmp_path)
    made.write(WHOLE, lambda coords: [b"x" * 100 for _ in coords], chunk_nbytes=9, pool=pool)
    made.abandon()
    made.write(WHOLE, produce, chunk_nbytes=9, pool=pool)
    written = made.finish()
    sizes = [p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()]

    assert (written.keys, written.nbytes) == (len(sizes), sum(sizes))


def test_failure_to_produce_is_passed_on(tmp_path, pool):
    """An error in a thread reaches the caller, and no descriptor stays open."""
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

    def broken(coords):
        raise ValueError("cannot encode")

    with pytest.raises(ValueError, match="cannot encode"):
        writer(tmp_path).write(WHOLE, broken, chunk_nbytes=9, pool=pool)

    assert not before or len(os.listdir("/proc/self/fd")) <= before


def test_an_empty_chunk_that_was_never_there(tmp_path, pool):
    """Nothing is removed where nothing is, and no folder is made for it."""
    writer(tmp_path).write(WHOLE, lambda coords: [None] * len(coords), chunk_nbytes=9, pool=pool)

    assert os.listdir(tmp_path) == []
