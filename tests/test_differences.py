"""Finding where two arrays differ: the boxes, their digests, and the values in them."""

import itertools
import re

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import LocalStore

from zarrmill import differences
from zarrmill.differences import BoxDigest, choose_box, find_differences, say_both, share_memory
from zarrmill.digest import ArrayDigest, Share
from zarrmill.digests import stored_arrays
from zarrmill.errors import MemoryLimitError
from zarrmill.grid import ChunkGrid, Region, ceil_div
from zarrmill.hierarchy import read_hierarchy
from zarrmill.store import open_keys, open_store


@st.composite
def layouts(draw, max_length=40):
    """Return a shape and two chunk shapes."""
    shape = tuple(draw(st.lists(st.integers(1, max_length), min_size=0, max_size=4)))
    return shape, *(tuple(draw(st.integers(1, n + 3)) for n in shape) for _ in range(2))


def count(shape, box):
    return int(np.prod([ceil_div(n, b) for n, b in zip(shape, box, strict=True)]))


@given(layouts(max_length=5000), st.integers(1, 2**20))
def test_boxes_fit_the_memory_or_are_as_many_as_allowed(layout, room):
    """A box has at most the bytes that there are, unless its halves would be more boxes than a grid may have."""
    shape, first, second = layout
    box = choose_box(shape, first, second, itemsize=8, room=room)
    boxes = count(shape, box)
    assert boxes <= differences.MOST_BOXES
    assert all(1 <= b <= max(1, n) for b, n in zip(box, shape, strict=True))
    halves = [(*box[:i], ceil_div(b, 2), *box[i + 1 :]) for i, b in enumerate(box) if b > 1]
    crowded = all(count(shape, half) > differences.MOST_BOXES for half in halves)
    assert np.prod(box, dtype=int) * 8 <= room or crowded


@given(layouts())
def test_boxes_cut_no_chunk_of_arrays_of_one_small_layout(layout):
    """Where memory does not ask for it, boxes of equal layouts are whole chunks."""
    shape, chunks, _ = layout
    box = choose_box(shape, chunks, chunks, itemsize=1, room=2**40)
    assert all(b % c == 0 or b >= n for b, c, n in zip(box, chunks, shape, strict=True))


@given(layouts(max_length=9), st.data())
def test_the_digest_of_a_box_is_that_of_its_values(layout, data):
    """Whatever the chunks in which values and missing chunks arrive, each box sums up its own."""
    shape, chunks, box = layout
    values = np.random.default_rng(0).integers(0, 99, shape).astype("i4")
    boxes, plain = BoxDigest(shape, "i4", ChunkGrid.over(shape, box)), ArrayDigest(shape, "i4")
    total = Share.zero()
    for coord in ChunkGrid.over(shape, chunks).coords():
        part = ChunkGrid.over(shape, chunks).region(coord)
        if data.draw(st.booleans()):
            values[part.slices] = 7
            total += boxes.fill_share(np.array(7, "i4"), part.start, part.stop)
        else:
            total += boxes.share(values[part.slices], part.start)
    assert total == plain.share(values, (0,) * len(shape))
    for coord in boxes.grid.coords():
        region = boxes.grid.region(coord)
        assert boxes.sums[coord] == plain.share(values[region.slices], region.start)


@given(layouts(max_length=7), st.lists(st.integers(0, 2**40), max_size=20), st.integers(1, 9))
def test_differences_are_those_that_a_loop_over_the_chunks_finds(layout, picks, stretch):
    """Count, bounding box, and the first value, chunk by chunk, in the order of the first values."""
    shape, chunks, offset = layout
    box = Region(offset, tuple(o + n for o, n in zip(offset, shape, strict=True)))
    first = np.arange(box.size, dtype="f8").reshape(shape)
    second = first.copy()
    for pick in picks:
        second.reshape(-1)[pick % box.size] *= -1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(differences, "STRETCH", stretch)
        patch.setattr(differences, "MOST_CHUNKS", 10**9)
        found = find_differences(first, second, box, chunks=chunks)
    expected = {}
    for index in zip(*np.nonzero(np.signbit(first) != np.signbit(second)), strict=True) if shape else []:
        at = tuple(int(o + i) for o, i in zip(offset, index, strict=True))
        expected.setdefault(tuple(i // c for i, c in zip(at, chunks, strict=True)), []).append(at)
    if not shape and np.signbit(first) != np.signbit(second):
        expected[()] = [()]
    if not expected:
        assert [(f.differing, f.region) for f in found] == [(0, box)]
        return
    assert [(f.differing, f.index) for f in found] == [(len(at), at[0]) for at in expected.values()]
    for f, at in zip(found, expected.values(), strict=True):
        assert f.region == Region(
            tuple(map(min, zip(*at, strict=True))), tuple(max(i) + 1 for i in zip(*at, strict=True))
        )
        inside = tuple(i - o for i, o in zip(f.index, offset, strict=True))
        assert (f.first, f.second) == (first[inside], second[inside])


def test_no_more_chunks_are_told_apart_than_anybody_reads():
    """Where every value differs and every value is a chunk, memory stays bounded."""
    zeros, ones = np.zeros(5000), np.ones(5000)
    found = find_differences(zeros, ones, Region((0,), (5000,)), chunks=(1,))
    assert [f.index for f in found] == [(i,) for i in range(differences.MOST_CHUNKS)]


TYPES = ["?", "i1", "u2", "f4", "f8", "c8", "c16", "M8[s]", "m8[ms]", "S3", "U5", "V6", [("a", "i4"), ("b", "S3")]]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_one_bit_is_enough(dtype):
    """Every bit of a value of every type counts."""
    size = np.dtype(dtype).itemsize
    first = np.zeros(size * 4, "u1")
    for byte, bit in itertools.product(range(size), (0, 7)):
        second = first.copy()
        second[size * 2 + byte] ^= 1 << bit
        [found] = find_differences(first.view(dtype), second.view(dtype), Region((0,), (4,)), chunks=(4,))
        assert (found.differing, found.index) == (1, (2,))


@pytest.mark.parametrize("dtype", [np.dtypes.StringDType(), object], ids=["strings", "bytes"])
def test_values_of_variable_length_are_compared_as_they_are(dtype):
    """Strings and bytes differ when they are unequal."""
    texts = ["", "a", "a long text that does not fit into its place", "ä"]
    texts = texts if dtype is not object else [text.encode() for text in texts]
    first, second = np.array(texts, dtype), np.array(texts, dtype)
    second[1] = second[2]
    [found] = find_differences(first, second, Region((0,), (4,)), chunks=(4,))
    assert (found.index, found.differing, found.first[()], found.second[()]) == ((1,), 1, texts[1], texts[2])


def test_records_found_do_not_change_with_the_memory_that_they_were_found_in():
    """A record is a view of its array, so that the next box would change it."""
    first, second = np.zeros(2, [("a", "i4")]), np.ones(2, [("a", "i4")])
    [found] = find_differences(first, second, Region((0,), (2,)), chunks=(2,))
    second["a"] = 5
    assert found.second["a"] == 1


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (np.array(1.5), np.array(2.0), ("1.5", "2.0")),
        (np.array(0.0), np.array(-0.0), ("0.0", "-0.0")),
        (np.array("a"), np.array("b"), ("'a'", "'b'")),
        (np.array(b"a"), np.array(b"b"), ("b'a'", "b'b'")),
        (np.array("x", np.dtypes.StringDType()), np.array("y", np.dtypes.StringDType()), ("'x'", "'y'")),
        (np.array("NaT", "M8[s]"), np.array(1, "M8[s]"), ("NaT", "1970-01-01T00:00:01")),
        (np.array(np.nan, "f4"), np.array(0xFFC00000, "u4").view("f4"), ("nan (0x7fc00000)", "nan (0xffc00000)")),
        (np.array("a"), np.array([0x61616161], "u4").view("U1").reshape(()), ("'a'", "0x61616161")),
    ],
    ids=["numbers", "signs of zero", "fixed text", "fixed bytes", "text", "times", "two NaN", "no text"],
)
def test_both_values_are_told_apart(first, second, said):
    """As people write them, and with their bits where they are written alike."""
    assert say_both(first, second) == said


def test_requests_under_way_take_memory(tmp_path):
    """From a store chunks come ahead of the threads, so that a limit which does for files may not do for it."""
    values = zarr.create_array(tmp_path / "a", shape=(64, 2**17), chunks=(1, 2**17), dtype="f8", fill_value=1.5)
    copy_store(LocalStore(tmp_path / "a"), "memory://differences/a")
    opened = [open_store(location) for location in (values, "memory://differences/a")]
    local, remote = (stored_arrays(found, read_hierarchy(found))[""] for found in opened)
    limit = 48 * 2**20
    assert share_memory(local, local, max_mem=limit, threads=1).box > 0
    with pytest.raises(MemoryLimitError, match="Raise max_mem to") as caught:
        share_memory(local, remote, max_mem=limit, threads=1)
    needed = int(re.search(r"to (\d+)MiB", str(caught.value))[1]) * 2**20
    assert share_memory(local, remote, max_mem=needed, threads=1).threads == 1


def copy_store(store, url):
    """Put the files of a folder under a URL."""
    keys = open_keys(url)
    for path in store.root.rglob("*"):
        if path.is_file():
            keys.put(str(path.relative_to(store.root)), path.read_bytes())
