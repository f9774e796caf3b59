"""execute/chunk_requests.py: encoded chunks by requests, as few as can be, and ahead of whoever decodes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from zarrmill.codecs.shard import IndexFormat
from zarrmill.errors import SourceFormatError
from zarrmill.execute import chunk_requests
from zarrmill.execute.chunk_files import ChunkFiles, KeyEncoding, ShardFiles
from zarrmill.execute.chunk_requests import ChunkRequests, ShardRequests
from zarrmill.grid import ChunkGrid, Region
from zarrmill.keyspace.local import LocalKeys

SHAPE, CHUNKS, SHARDS = (10, 9), (2, 3), (4, 9)
GRID = ChunkGrid.over(SHAPE, CHUNKS)
NAMES = KeyEncoding("c", "/")
NBYTES = 2 * 3 * 4
INDEX = IndexFormat(6)


class Keys(LocalKeys):
    """Keys on the disk that count requests by key and may bring damaged bytes once."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: Counter[str] = Counter()
        self.damage: list[str] = []

    def _damaged(self, kind: str, data: Any) -> Any:
        if kind not in self.damage:
            return data
        self.damage.remove(kind)
        return bytes([data[0] ^ 1]) + bytes(data[1:])

    def get(self, key: str) -> Any:
        self.asked[key] += 1
        return self._damaged("get", super().get(key))

    def get_suffix(self, key: str, nbytes: int) -> Any:
        self.asked[key] += 1
        return self._damaged("suffix", super().get_suffix(key, nbytes))

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> Any:
        self.asked[key] += 1
        return super().get_ranges(key, ranges)


@pytest.fixture
def values() -> Any:
    found = np.arange(1, 91, dtype="i4").reshape(SHAPE)
    found[2:4, 3:6] = 0
    found[8:] = 0
    return found


@pytest.fixture
def keys(tmp_path: Path, values: Any) -> Keys:
    """Chunks, of which one and then a whole row are missing."""
    zarr.create_array(tmp_path, shape=SHAPE, chunks=CHUNKS, dtype="i4", compressors=None, fill_value=0)[:] = values
    return Keys(tmp_path)


@pytest.fixture
def sharded(tmp_path: Path, values: Any) -> Keys:
    """The same in shards, of which the last is missing."""
    zarr.create_array(
        tmp_path, shape=SHAPE, chunks=CHUNKS, shards=SHARDS, dtype="i4", compressors=None, fill_value=0
    )[:] = values  # fmt: skip
    return Keys(tmp_path)


def chunks_of(keys: Keys) -> ChunkRequests:
    return ChunkRequests(keys, encoding=NAMES, grid=GRID, chunk_nbytes=NBYTES)


def shards_of(keys: Keys) -> ShardRequests:
    return ShardRequests(keys, encoding=NAMES, grid=GRID, shards=SHARDS, index=INDEX, chunk_nbytes=NBYTES)


def collected(reader: Any, region: Region, *, threads: int = 2) -> dict[Any, bytes | None]:
    """Return every chunk of a region as the batches bring it."""
    found: dict[Any, bytes | None] = {}
    for part in reader.batches(region, threads=threads):
        for coord, data in zip(part.coords, part.read(), strict=True):
            assert coord not in found
            found[coord] = None if data is None else bytes(data)
    return found


REGIONS = [Region.whole(SHAPE), Region((2, 3), (4, 6)), Region((3, 0), (9, 9)), Region((8, 0), (10, 9))]


@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_chunks_are_those_of_the_files(keys: Keys, tmp_path: Path, region: Region) -> None:
    """Requests bring what files would, the missing ones included."""
    files = ChunkFiles(tmp_path, keys=NAMES, grid=GRID, chunk_nbytes=NBYTES)
    assert collected(chunks_of(keys), region) == collected(files, region)


@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_inner_chunks_are_those_of_the_files(sharded: Keys, tmp_path: Path, region: Region) -> None:
    """The same for inner chunks of shards."""
    files = ShardFiles(tmp_path, keys=NAMES, grid=GRID, shards=SHARDS, index=INDEX, chunk_nbytes=NBYTES)
    assert collected(shards_of(sharded), region) == collected(files, region)


def test_a_chunk_is_asked_for_once(keys: Keys) -> None:
    """Each chunk takes one request, missing or not."""
    collected(chunks_of(keys), Region.whole(SHAPE))
    assert len(keys.asked) == len(GRID)
    assert set(keys.asked.values()) == {1}


def test_a_shard_is_asked_for_twice(sharded: Keys) -> None:
    """A shard takes a request for its index and one for its chunks; of a missing one the index alone is asked for."""
    collected(shards_of(sharded), Region.whole(SHAPE))
    assert sharded.asked == {"c/0/0": 2, "c/1/0": 2, "c/2/0": 1}


def test_large_shards_come_in_pieces(sharded: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """No request brings more than FETCH_BYTES, and the index is asked for once all the same."""
    monkeypatch.setattr(chunk_requests, "FETCH_BYTES", 2 * NBYTES)
    assert len(collected(shards_of(sharded), Region((0, 0), (4, 9)))) == 6
    assert sharded.asked == {"c/0/0": 1 + 3}


def test_several_chunks_are_read_at_once(keys: Keys, values: Any) -> None:
    """Chunks that are named are returned in their order."""
    found = chunks_of(keys).read([(0, 1), (4, 0), (0, 0)])
    assert [data if data is None else bytes(data) for data in found] == [
        values[:2, 3:6].tobytes(),
        None,
        values[:2, :3].tobytes(),
    ]


def test_keys_are_named(sharded: Keys) -> None:
    """A message names the key, and the chunk within a shard."""
    assert chunks_of(sharded).key((3, 1)) == "c/3/1"
    assert shards_of(sharded).key((3, 1)) == "c/1/0 (inner chunk (3, 1))"


def test_index_that_was_damaged_on_its_way_is_asked_for_again(sharded: Keys, values: Any) -> None:
    """One flipped byte of an index costs another request, and nothing else."""
    sharded.damage = ["suffix"]
    (found,) = shards_of(sharded).read([(0, 0)])
    assert found is not None
    assert bytes(found) == values[:2, :3].tobytes()


def test_index_that_stays_damaged_is_told(sharded: Keys) -> None:
    """Twice a wrong index is a damaged shard; asking another time, as another attempt does, is asking anew."""
    sharded.damage = ["suffix", "suffix"]
    reader = shards_of(sharded)
    with pytest.raises(SourceFormatError):
        reader.read([(0, 0)])
    assert reader.read([(0, 0)])[0] is not None


def test_chunk_is_read_again_with_its_index(sharded: Keys) -> None:
    """A second reading does not trust the index of the first."""
    reader = shards_of(sharded)
    first = reader.read([(0, 0)])
    again = reader.read_again((0, 0))
    assert again is not None
    assert [bytes(again)] == [bytes(data) for data in first if data is not None]
    assert sharded.asked["c/0/0"] == 4


def test_shard_that_ends_too_soon_is_told(sharded: Keys, tmp_path: Path) -> None:
    """An index that points beyond the end of its shard is damage."""
    data = (tmp_path / "c/0/0").read_bytes()
    (tmp_path / "c/0/0").write_bytes(data[-INDEX.nbytes :])
    with pytest.raises(SourceFormatError, match="cut short"):
        shards_of(sharded).read([(1, 2)])


def test_few_indices_are_kept(sharded: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Indices that no longer fit are asked for again."""
    monkeypatch.setattr(chunk_requests, "INDEX_CACHE", 0)
    reader = shards_of(sharded)
    for coord in ((0, 0), (2, 0), (0, 0)):
        reader.read([coord])
    assert sharded.asked == {"c/0/0": 4, "c/1/0": 2}
