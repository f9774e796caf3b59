"""layout.py: what a request for chunks and shards makes of each array."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.errors import InvalidInputError
from zarrmill.grid import round_up
from zarrmill.layout import (
    SHARD_BYTES,
    WHOLE_1D_BELOW,
    ArrayLayout,
    check_dimensions,
    choose_shards,
    find_clipped,
    resolve_layout,
)

MIB = 2**20


def layout(shape, chunks, *, shards=None, itemsize=8, dims=None):
    return ArrayLayout(shape, f"float{8 * itemsize}", itemsize, chunks, shards=shards, dims=dims)


CUBE = layout((500, 20, 3), (500, 1, 3), dims=("object", "epoch", None))


def resolve(source, *, chunks=None, shards=None, path="flux", explicit=True):
    made = resolve_layout(source, path=path, chunks=chunks, shards=shards, explicit=explicit)
    return made.chunks, made.shards


def test_sizes_follow_from_the_shape():
    """Bytes and counts are those of the grid; edge chunks count as whole chunks."""
    made = layout((10, 7), (4, 7), shards=(8, 7))

    assert (made.nbytes, made.chunk_nbytes, made.n_chunks, made.n_write_chunks) == (560, 224, 3, 2)
    assert made.write_chunk == (8, 7)
    assert layout((), ()).n_chunks == 1
    assert layout((0, 5), (1, 5)).n_chunks == 0


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (None, (500, 1, 3)),
        ({"object": 1, "epoch": -1}, (1, 20, 3)),
        ({"epoch": 5}, (500, 5, 3)),
        ({}, (500, 1, 3)),
        ((1, -1, 2), (1, 20, 2)),
        ([9, 9, 9], (9, 9, 3)),
        ({"flux": (1, -1, -1)}, (1, 20, 3)),
        ({"flux": {"epoch": -1}, "other": (5,)}, (500, 20, 3)),
        ({"other": (5,)}, (500, 1, 3)),
        ({"flux": None}, (500, 1, 3)),
        ((np.int64(1), np.int32(-1), 3), (1, 20, 3)),
        ({"epoch": np.int64(-1)}, (500, 20, 3)),
    ],
    ids=str,
)
def test_chunks_by_dimension_by_axis_and_by_path(chunks, expected):
    """A request names sizes by dimension, by axis, or by array; -1 is the whole axis, what is not named stays."""
    assert resolve(CUBE, chunks=chunks) == (expected, None)


def test_sizes_of_numpy_become_plain_integers():
    """Plans are JSON, which has no numbers of numpy."""
    chunks, shards = resolve(CUBE, chunks=tuple(np.array([1, 20, 3])), shards=(np.int64(10), 20, 3))

    assert {type(size) for size in (*chunks, *shards)} == {int}


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0,), ()], ids=str)
@pytest.mark.parametrize("shards", [None, "auto", -1], ids=str)
def test_axes_without_length_have_chunks_of_one(shape, shards):
    """An axis of length 0 has chunks of length 1, because Zarr has none of length 0."""
    source = layout(shape, tuple(max(1, n) for n in shape))
    asked = [-1] * len(shape)
    chunks, made = resolve(source, chunks=asked, shards=asked if shards == -1 else shards)

    assert chunks == tuple(max(1, n) for n in shape)
    assert made in (None, chunks)


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ((1, 2), "flux: 2 chunk sizes for 3 axes"),
        ((1, 2, 3, 4), "flux: 4 chunk sizes for 3 axes"),
        ((1, 0, 3), "chunk size 0 of axis 1 is neither positive nor -1"),
        ((1, -2, 3), "chunk size -2 of axis 1"),
        ((1, 2.0, 3), "chunk size 2.0 of axis 1"),
        ((1, True, 3), "chunk size True of axis 1"),
        ({"epoch": 0}, "chunk size 0 of axis 1"),
        (5, "chunk sizes 5 are no list"),
        ("1,2,3", "chunk sizes '1,2,3' are no list"),
    ],
    ids=str,
)
def test_sizes_that_can_never_work_are_refused(chunks, message):
    """The message names the array, what is wrong with which axis, and what to write instead."""
    with pytest.raises(InvalidInputError, match=message) as caught:
        resolve(CUBE, chunks=chunks)

    assert "Give" in str(caught.value)


@pytest.mark.parametrize(
    ("shards", "expected"),
    [
        (None, None),
        ((100, 20, 3), (100, 20, 3)),
        ({"object": 100}, (100, 20, 3)),
        ({"object": -1, "epoch": 4}, (500, 4, 3)),
        ((10_000, 20, 3), (500, 20, 3)),
        ({"flux": (100, 20, 3)}, (100, 20, 3)),
        ({"other": (1,)}, None),
    ],
    ids=str,
)
def test_shards_by_dimension_by_axis_and_by_path(shards, expected):
    """Shards are asked for as chunks are; an axis that is not named is whole, and so is one longer than its axis."""
    assert resolve(CUBE, chunks=(10, 4, 3), shards=shards) == ((10, 4, 3), expected)


def test_shard_covers_an_axis_in_whole_chunks():
    """A whole axis is rounded up to whole chunks, because a shard holds nothing else."""
    assert resolve(CUBE, chunks=(30, 7, 2), shards=(-1, -1, -1)) == ((30, 7, 2), (510, 21, 4))


def test_shard_that_cuts_chunks_is_refused():
    """The message has both numbers and the next size that works."""
    with pytest.raises(InvalidInputError, match=r"shard 25 of axis 0 is not a multiple of its chunk 10\. Use 30"):
        resolve(CUBE, chunks=(10, 4, 3), shards=(25, 20, 3))


@pytest.mark.parametrize(
    ("shape", "itemsize", "source", "chunks", "expected"),
    [
        ((500, 20, 2), 8, (500, 1, 2), (1, 20, 2), (500, 20, 2)),
        ((10_000, 500, 2), 8, (1000, 1, 2), (1, 500, 2), (8000, 500, 2)),
        ((50_000, 1200, 8, 2), 4, (5000, 1, 8, 2), (1, 1200, 8, 2), (1000, 1200, 8, 2)),
        ((960, 721, 1440), 4, (1, 721, 1440), (960, 20, 20), (960, 20, 720)),
    ],
    ids=["S", "M", "L", "G"],
)
def test_automatic_shards_of_the_sizes_of_the_specification(shape, itemsize, source, chunks, expected):
    """The four sizes of specs/rechunk.md: S whole, the others about 64 MB and in step with the source."""
    assert choose_shards(layout(shape, chunks, itemsize=itemsize), source_chunks=source) == expected


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((), ()), ((0, 5), (1, 5)), ((100, 100), (100, 100)), ((1000, 1000), (1000, 200))],
    ids=["no axes", "no length", "one chunk", "few large chunks"],
)
def test_no_automatic_shards_where_none_help(shape, chunks):
    """One chunk, or few of a megabyte and more, are files of their own."""
    assert choose_shards(layout(shape, chunks), source_chunks=chunks) is None


def test_many_large_chunks_become_shards():
    """More than a thousand keys are too many, however large."""
    made = choose_shards(layout((2000, 200_000), (1, 200_000)), source_chunks=(2000, 1))

    assert made is not None


@given(st.data())
def test_automatic_shards_keep_their_limits(data):
    """Whole chunks, at most 128 MiB unless one chunk is more, at least 16 MiB unless that is all there is."""
    ndim = data.draw(st.integers(1, 4))
    shape = tuple(data.draw(st.integers(1, 10 ** (8 // ndim))) for _ in range(ndim))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    source_chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    made = layout(shape, chunks)
    shards = choose_shards(made, source_chunks=source_chunks)
    if shards is None:
        return
    nbytes = math.prod(shards) * made.itemsize
    whole = tuple(round_up(n, c) for n, c in zip(shape, chunks, strict=True))

    assert all(s % c == 0 and s <= w for s, c, w in zip(shards, chunks, whole, strict=True))
    assert nbytes <= max(SHARD_BYTES[1], made.chunk_nbytes)
    # Counts of chunks above 64 are tried in steps of up to a tenth, so that a doubling always fits below the upper end.
    assert nbytes >= SHARD_BYTES[0] or all(
        s == w or 2 * nbytes > SHARD_BYTES[1] or s * 2 > w for s, w in zip(shards, whole, strict=True)
    )


@pytest.mark.parametrize("request_", [{"chunks": {"object": 1}}, {"chunks": (1,)}, {"shards": {"object": 2}}], ids=str)
def test_small_arrays_of_a_hierarchy_stay_whole(request_):
    """An array of some kilobytes in a hierarchy is one chunk, whatever its dimensions are asked for."""
    source = layout((50,), (5,), dims=("object",))

    assert resolve(source, **request_, explicit=False) == ((50,), None)
    assert resolve(source, chunks={"flux": (10,)}, shards={"flux": (20,)}, explicit=False) == ((10,), (20,))
    assert resolve(source, chunks={"object": 10}, shards={"flux": (20,)}, explicit=False) == ((10,), (20,))


def test_long_columns_of_a_hierarchy_have_long_chunks():
    """A 1-D array above 16 MiB is not chunked to dust, and shards meant for others do not make it fail."""
    source = layout((3_000_000,), (1_000_000,), dims=("object",))
    long = WHOLE_1D_BELOW // 8

    assert resolve(source, chunks={"object": 1000}, explicit=False) == ((long,), None)
    assert resolve(source, chunks={"object": 1000}, shards={"object": 10_000}, explicit=False) == ((long,), None)
    assert resolve(source, chunks={"object": 1000}, shards="auto", explicit=False) == ((long,), None)
    assert resolve(source, chunks={"flux": (1000,)}, shards={"object": 10_000}, explicit=False) == ((1000,), (10_000,))


def test_larger_arrays_of_a_hierarchy_follow_their_dimensions():
    """What is neither small nor 1-D gets what its dimensions ask for."""
    source = layout((5000, 200), (5000, 1), dims=("object", "epoch"))

    assert resolve(source, chunks={"object": 1, "epoch": -1}, explicit=False) == ((1, 200), None)


def test_clipped_chunks_are_told():
    """A requested chunk that is longer than its axis is named with both lengths; the source's own is not."""
    source = layout((5, 20), (9, 20))

    assert find_clipped(source, path="flux", chunks=(7, 64)) == [
        "chunk 7 of axis 0 is clipped to its length 5",
        "chunk 64 of axis 1 is clipped to its length 20",
    ]
    assert find_clipped(source, path="flux", chunks=None) == []
    assert find_clipped(source, path="flux", chunks=(-1, 20)) == []


LAYOUTS = {"flux": CUBE, "group/time": layout((20,), (20,), dims=("epoch",))}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"objekt": 1}, "dimension 'objekt' is not in the source. Did you mean 'object'"),
        ({"time": 1}, r"dimension 'time' is not in the source. It has the dimensions \['epoch', 'object'\]"),
        ({"fluxx": (1, 2, 3)}, "array 'fluxx' is not in the source. Did you mean 'flux'"),
    ],
    ids=str,
)
def test_unknown_names_are_refused(request_, message):
    """A dimension or path that no array has is a mistake; the message has the nearest name and all that exist."""
    with pytest.raises(InvalidInputError, match=message):
        check_dimensions(request_, LAYOUTS, what="chunks")


@pytest.mark.parametrize(
    "request_", [None, "auto", (1, 2), {}, {"epoch": 1}, {"flux": (1, 2, 3)}, {"group/time": {"epoch": 1}}], ids=str
)
def test_known_names_pass(request_):
    """A dimension that any array has will do, for some arrays need not have it."""
    check_dimensions(request_, LAYOUTS, what="chunks")
