"""The digest of a store: the same for every layout, every chunk once, progress all the time."""

import json

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from zarrmill import digests
from zarrmill.digest import ArrayDigest
from zarrmill.digests import digest, digest_report, read_regions, store_digest
from zarrmill.errors import NotFoundError, SourceFormatError
from zarrmill.execute.chunk_files import ChunkFiles, ShardFiles
from zarrmill.grid import ChunkGrid, Region
from zarrmill.layout import ArrayLayout
from zarrmill.progress import BlockAdvanced, BlockFinished, RunFinished, RunStarted
from zarrmill.rechunk import rechunk

VALUES = np.random.default_rng(1).normal(size=(13, 10)).astype("f4")
LAYOUTS = {
    "rows": {"chunks": (1, 10)},
    "columns": {"chunks": (13, 3), "compressors": None},
    "shards": {"chunks": (3, 2), "shards": (9, 4)},
    "one chunk": {"chunks": (20, 10)},
    "zarr v2": {"chunks": (4, 4), "zarr_format": 2},
    "big-endian v2": {"chunks": (4, 4), "zarr_format": 2, "dtype": ">f4", "order": "F"},
}


def write(path, values, **layout):
    array = zarr.create_array(path, shape=values.shape, **{"dtype": values.dtype, **layout})
    array[...] = values


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_digest_is_that_of_the_values_in_any_layout(tmp_path, layout):
    """Chunks, shards, codecs, order and format leave it as numpy's array has it."""
    write(tmp_path / "a", VALUES, **layout)
    plain = ArrayDigest(VALUES.shape, "float32")
    assert digest(tmp_path / "a") == plain.text(plain.share(VALUES, (0, 0)))


@pytest.mark.parametrize(
    "values",
    [np.array(1.5), np.zeros((0, 3), "i2"), np.array([b"a", b"bc"]), np.array(["x", "yz", ""], "U2")],
    ids=["0-d", "zero length", "fixed bytes", "fixed text"],
)
def test_arrays_of_every_kind_have_a_digest(tmp_path, values):
    """Also those without axes, without values, and of text."""
    write(tmp_path / "a", values, zarr_format=2)
    write(tmp_path / "b", values, zarr_format=2, chunks=tuple(max(1, n) for n in values.shape))
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_missing_chunks_count_as_their_fill_value(tmp_path):
    """An array of nothing but missing chunks has the digest of one that stores its fill value."""
    zarr.create_array(tmp_path / "a", shape=(9,), chunks=(2,), dtype="i4", fill_value=7)
    written = zarr.create_array(
        tmp_path / "b", shape=(9,), chunks=(4,), dtype="i4", fill_value=0, config={"write_empty_chunks": True}
    )
    written[:] = 7
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def make_group(path):
    zarr.create_group(path).create_group("deep")
    for name in ("flux", "error", "deep/mask"):
        write(path / name, VALUES, chunks=(4, 4))


def test_the_digest_of_a_group_tells_its_arrays_apart(tmp_path):
    """The report has one per array; the whole depends on the names, and ``arrays`` selects."""
    make_group(tmp_path / "g")
    report = digest_report(tmp_path / "g")
    one = digest(tmp_path / "g" / "flux")
    assert report.arrays == {"deep/mask": one, "error": one, "flux": one}
    assert report.digest == store_digest(report.arrays) != one
    assert digest_report(tmp_path / "g", arrays=["/flux"]).arrays == {"flux": one}
    assert digest(tmp_path / "g", arrays=["flux"]) != digest(tmp_path / "g", arrays=["error"])
    assert json.loads(json.dumps(report.to_json()))["location"] == str(tmp_path / "g")


def test_an_unknown_array_is_named(tmp_path):
    """With those that there are."""
    make_group(tmp_path / "g")
    with pytest.raises(NotFoundError, match=r"array 'flax' is not in .*/g. It has \['deep/mask', 'error', 'flux'\]"):
        digest(tmp_path / "g", arrays=["flax"])


def test_a_damaged_chunk_is_named(tmp_path):
    """A digest of something that is not there would be worth nothing."""
    write(tmp_path / "a", VALUES, chunks=(4, 10))
    (tmp_path / "a" / "c" / "1" / "0").write_bytes(b"nothing")
    with pytest.raises(SourceFormatError, match="chunk c/1/0 cannot be decoded"):
        digest(tmp_path / "a")


@pytest.fixture
def reads(monkeypatch):
    """Every chunk that the driver reads, in order."""
    found = []
    for kind in (ChunkFiles, ShardFiles):

        def read(self, coords, plain=kind.read):
            found.extend(coords)
            return plain(self, coords)

        monkeypatch.setattr(kind, "read", read)
    return found


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_chunk_is_read_once_and_progress_is_fine(tmp_path, layout, reads, monkeypatch):
    """However small the regions are, in which an array is read; they tell of as many bytes as it has."""
    write(tmp_path / "a", VALUES, **layout)
    monkeypatch.setattr(digests, "REGION_BYTES", 16)
    monkeypatch.setattr(digests, "REGION_CHUNKS", 2)
    messages = []
    report = digest_report(tmp_path / "a", progress=messages.append)
    assert len(reads) == len(set(reads)) == len(ChunkGrid.over(VALUES.shape, layout["chunks"]))
    advanced = [m.weight for m in messages if isinstance(m, BlockAdvanced)]
    assert sum(advanced) == VALUES.nbytes
    assert max(advanced) < VALUES.nbytes or len(reads) == 1 or layout["chunks"][0] == 13
    assert isinstance(messages[0], RunStarted)
    assert messages[0].weight == VALUES.nbytes
    assert [type(m) for m in messages[-2:]] == [BlockFinished, RunFinished]
    monkeypatch.undo()
    assert digest(tmp_path / "a") == report.digest


def test_a_rechunk_reports_the_same_digest(tmp_path):
    """Source, target and report agree."""
    make_group(tmp_path / "a")
    chunks = dict.fromkeys(("flux", "error", "deep/mask"), (13, 1))
    report = rechunk(tmp_path / "a", tmp_path / "b", chunks=chunks)
    assert report.digest == digest(tmp_path / "a") == digest(tmp_path / "b")


@st.composite
def divided(draw):
    """Return a layout and a region of it."""
    axis = st.tuples(st.integers(0, 30), st.integers(1, 7), st.integers(1, 4))
    axes = draw(st.lists(axis, max_size=3))
    shape, chunks, per_shard = (tuple(a[i] for a in axes) for i in range(3))
    shards = tuple(c * n for c, n in zip(chunks, per_shard, strict=True)) if draw(st.booleans()) else None
    bounds = [sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    layout = ArrayLayout(shape=shape, dtype="float64", itemsize=8, chunks=chunks, shards=shards)
    return layout, Region(tuple(b[0] for b in bounds), tuple(b[1] for b in bounds))


@given(divided(), st.integers(1, 4000), st.integers(1, 50))
def test_regions_share_no_chunk_and_leave_none_out(layout_and_region, nbytes, most):
    """Each chunk of a region is in one part, and a part has no more chunks than asked for."""
    layout, region = layout_and_region
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "REGION_BYTES", nbytes)
        patch.setattr(digests, "REGION_CHUNKS", most)
        patch.setattr(digests, "CHUNKS_PER_THREAD", 1)
        parts = list(read_regions(layout, region, threads=1))
    grid = ChunkGrid.over(layout.shape, layout.chunks)
    chunks = [coord for part in parts for coord in grid.coords(part)]
    assert len(chunks) == len(set(chunks))
    assert sum(part.size for part in parts) == region.size
    assert all(part.intersect(region) == part for part in parts)
    assert all(len(list(grid.coords(part))) <= most for part in parts)
