"""keyspace/model.py: what holds for the keys of every kind of store."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from zarrmill.errors import NotFoundError
from zarrmill.keyspace import KeySpace, Requests
from zarrmill.keyspace.model import Buffer

VALUE = bytes(range(200))


def as_bytes(data: Buffer | None) -> bytes | None:
    return None if data is None else bytes(data)


def names(keys: KeySpace, prefix: str = "") -> list[str]:
    return sorted(found.key for found in keys.list(prefix))


def test_a_missing_key_is_none(keys: KeySpace) -> None:
    """Nothing is read of a key that is not there, in a store in which there is nothing at all."""
    assert keys.get("a/b") is None
    assert keys.get_range("a/b", 0, 5) is None
    assert keys.get_range("a/b", 3, 0) is None
    assert keys.get_suffix("a/b", 5) is None
    assert keys.get_suffix("a/b", 0) is None
    assert keys.head("a/b") is None


def test_a_folder_is_no_key(keys: KeySpace) -> None:
    """A folder with keys in it is not itself one."""
    keys.put("a/b", VALUE)

    assert (keys.get("a"), keys.get_range("a", 0, 1), keys.head("a")) == (None, None, None)
    assert keys.get("a/b/c") is None


def test_a_value_comes_back(keys: KeySpace) -> None:
    """A value is read as it was written, an empty one too, and a second write replaces the first."""
    for value in (VALUE, b"", b"short", bytes(100_000)):
        keys.put("a/b", value)

        assert as_bytes(keys.get("a/b")) == value


@pytest.mark.parametrize(
    "data",
    [bytearray(b"abcd"), memoryview(b"abcd"), memoryview(np.array([0x64636261], "<u4")), memoryview(b"xabcdx")[1:5]],
    ids=["bytearray", "view", "typed view", "part of a view"],
)
def test_any_buffer_is_written(keys: KeySpace, data: Buffer) -> None:
    """A value may be any contiguous buffer."""
    keys.put("a", data)

    assert as_bytes(keys.get("a")) == b"abcd"


def test_what_was_written_does_not_change_with_the_memory(keys: KeySpace) -> None:
    """The memory of a value may be used again after the write."""
    memory = bytearray(VALUE)
    keys.put("a", memory)
    memory[:] = bytes(len(memory))

    assert as_bytes(keys.get("a")) == VALUE


RANGES = {
    "begin": (0, 5, VALUE[:5]),
    "middle": (50, 10, VALUE[50:60]),
    "end": (190, 10, VALUE[190:]),
    "over the end": (190, 100, VALUE[190:]),
    "at the end": (200, 5, b""),
    "after the end": (300, 5, b""),
    "nothing": (7, 0, b""),
    "all": (0, 200, VALUE),
}


@pytest.mark.parametrize(("start", "nbytes", "expected"), RANGES.values(), ids=RANGES)
def test_a_part_is_read(keys: KeySpace, start: int, nbytes: int, expected: bytes) -> None:
    """A part of a value is shorter where the value ends."""
    keys.put("a", VALUE)

    assert as_bytes(keys.get_range("a", start, nbytes)) == expected


@pytest.mark.parametrize("nbytes", [0, 1, 10, 200, 1000])
@pytest.mark.parametrize("value", [VALUE, b""], ids=["value", "empty value"])
def test_the_end_is_read(keys: KeySpace, nbytes: int, value: bytes) -> None:
    """The last bytes of a value are all of one that has fewer."""
    keys.put("a", value)

    assert as_bytes(keys.get_suffix("a", nbytes)) == value[max(0, len(value) - nbytes) :]


def test_parts_are_read_in_the_order_asked(keys: KeySpace) -> None:
    """Parts may overlap, be empty, come in any order and end after the value does."""
    large = VALUE * 5000
    keys.put("a", large)
    wanted = [(900_000, 50), (10, 5), (12, 3), (0, 0), (999_990, 100), (400_000, 7), (2_000_000, 5), (0, 1)]

    assert [bytes(part) for part in keys.get_ranges("a", wanted)] == [large[s : s + n] for s, n in wanted]
    assert keys.get_ranges("a", []) == []


def test_parts_of_a_missing_key_are_an_error(keys: KeySpace) -> None:
    """There is no part to give for a key that is not there, one or many."""
    for wanted in ([(0, 1)], [(0, 1), (10_000_000, 1)]):
        with pytest.raises(NotFoundError, match="a/b is missing"):
            keys.get_ranges("a/b", wanted)


def test_a_key_is_described(keys: KeySpace) -> None:
    """The length of a value is told without reading it."""
    keys.put("a/b", VALUE)
    found = keys.head("a/b")

    assert found is not None
    assert (found.key, found.nbytes) == ("a/b", 200)


def test_only_the_first_creates(keys: KeySpace) -> None:
    """A conditional write that comes second changes nothing; equal values count as one's own."""
    assert keys.create("a/claim", b"first")
    assert not keys.create("a/claim", b"second")
    assert as_bytes(keys.get("a/claim")) == b"first"


def test_one_of_many_creates(keys: KeySpace) -> None:
    """Of many who write a key at the same time, exactly one is told that it is his, and his value is there."""
    with ThreadPoolExecutor(8) as pool:
        values = [f"value {i}".encode() for i in range(8)]
        won = list(pool.map(lambda value: keys.create("claim", value), values))

    assert sum(won) == 1
    assert as_bytes(keys.get("claim")) == values[won.index(True)]


def test_keys_are_listed_below_a_folder(keys: KeySpace) -> None:
    """A listing has every key below a folder, whose name is a whole one, relative to the root."""
    for key in ("zarr.json", "a/zarr.json", "a/c/0/0", "a/c/0/1", "ab/zarr.json"):
        keys.put(key, VALUE)

    assert names(keys) == ["a/c/0/0", "a/c/0/1", "a/zarr.json", "ab/zarr.json", "zarr.json"]
    assert names(keys, "a") == ["a/c/0/0", "a/c/0/1", "a/zarr.json"]
    assert names(keys, "a/c/0") == ["a/c/0/0", "a/c/0/1"]
    assert names(keys, "b") == []
    assert {found.nbytes for found in keys.list()} <= {200, None}


def test_long_listings_are_whole(keys: KeySpace) -> None:
    """A listing of more than one page has every key once, and so has a folder."""
    expected = [f"c/{i:04}" for i in range(1005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: keys.put(key, b""), expected))

    assert names(keys, "c") == expected
    assert sorted(keys.list_dir("c")[1]) == [key[2:] for key in expected]
    keys.delete(expected)
    assert names(keys) == []


def test_a_folder_is_listed(keys: KeySpace) -> None:
    """Directly below a folder are the names of folders and of keys."""
    for key in ("zarr.json", "a/zarr.json", "a/c/0/0", "b/x"):
        keys.put(key, VALUE)

    assert [sorted(some) for some in keys.list_dir()] == [["a", "b"], ["zarr.json"]]
    assert [sorted(some) for some in keys.list_dir("a")] == [["c"], ["zarr.json"]]
    assert keys.list_dir("a/c") == (["0"], [])
    assert keys.list_dir("nothing") == ([], [])


def test_removed_keys_are_gone(keys: KeySpace) -> None:
    """Keys are removed together, missing ones are no error, and folders without keys are gone as well."""
    for key in ("a/b/1", "a/b/2", "a/3"):
        keys.put(key, VALUE)

    keys.delete(iter(["a/b/1", "never/there", "a/b/2"]))
    keys.delete([])

    assert names(keys) == ["a/3"]
    assert keys.list_dir("a") == ([], ["3"])


@pytest.mark.parametrize("key", ["a b/ü", "100%", "a%41", "a+b", "a#b", "a?b=c", "{x}", "~", "'", ".hidden", "c&d"])
def test_names_are_taken_as_they_are(keys: KeySpace, key: str) -> None:
    """No character of a name has a meaning, whatever it means in a URL."""
    keys.put(f"x/{key}", key.encode())

    assert as_bytes(keys.get(f"x/{key}")) == key.encode()
    assert names(keys, "x") == [f"x/{key}"]
    keys.delete([f"x/{key}"])
    assert names(keys) == []


def test_a_deeper_root_sees_its_part(keys: KeySpace) -> None:
    """Below a folder are its keys under shorter names, and the requests are counted together."""
    below = keys.below("a").below("b")
    below.put("c", VALUE)

    assert as_bytes(keys.get("a/b/c")) == VALUE
    assert names(below) == ["c"]
    assert below.location == f"{keys.location}/a/b"
    assert below.counts is keys.counts


def test_requests_are_counted(keys: KeySpace) -> None:
    """Every request is counted by kind, with the bytes of values that it moved."""
    keys.put("a", VALUE)
    keys.get("a")
    keys.get_range("a", 0, 50)
    keys.head("a")
    list(keys.list())
    keys.delete(["a"])
    counts = keys.counts

    assert counts.snapshot() == Requests(2, 1, 1, 1, 1, bytes_read=250, bytes_written=200)
    assert (counts.gets, counts.puts, counts.lists, counts.deletes, counts.heads) == (2, 1, 1, 1, 1)
    assert (counts.bytes_read, counts.bytes_written) == (250, 200)


def test_keys_pickle(keys: KeySpace, request: pytest.FixtureRequest) -> None:
    """Another process has the same keys, and counts from zero."""
    keys.put("deep/a", VALUE)
    below = keys.below("deep").unchecked()
    back = pickle.loads(pickle.dumps(below))

    assert as_bytes(back.get("a")) == VALUE
    assert back.counts.snapshot() == Requests(gets=1, bytes_read=200)
    # A store of zarr's in memory is copied.
    if request.node.callspec.params["keys"] != "zarr":
        assert (back, hash(back), back.location) == (below, hash(below), below.location)
    assert back != keys


def test_many_threads_may_ask(keys: KeySpace) -> None:
    """Threads read and write at once, and no request is lost from the counts."""

    def work(i: int) -> bytes | None:
        keys.put(f"t/{i}", str(i).encode())
        return as_bytes(keys.get(f"t/{i}"))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(40))) == [str(i).encode() for i in range(40)]
    assert (keys.counts.puts, keys.counts.gets) == (40, 40)
