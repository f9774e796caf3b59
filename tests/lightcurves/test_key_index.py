"""lightcurves/key_index.py: keys of either kind are found, and unknown ones named with their neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from zarrmill.errors import InvalidInputError, UnknownNameError
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves import key_index
from zarrmill.lightcurves.key_index import RangeKeys, SortedKeys, check_keys, create_index


@pytest.fixture
def small_chunks(monkeypatch) -> None:
    """Make chunks of a few keys, so that few keys make many chunks."""
    monkeypatch.setattr(key_index, "table_rows", lambda count: 7)


def make(tmp_path, keys) -> SortedKeys:
    store = LocalKeys(tmp_path)
    create_index(store, "index", np.asarray(keys))
    return SortedKeys.open(store, "index", count=len(keys))


KEYS = {
    "int": np.random.default_rng(1).permutation(1000)[:100] * 10 - 500,
    "text": np.array([f"star-{i}{'x' * (i % 9)}" for i in np.random.default_rng(1).permutation(100)]),
    "unicode": np.array([f"δ{i} Cep" for i in range(50)]),
    "one": np.array([7]),
}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_every_key_is_found_where_it_is(tmp_path, keys) -> None:
    """One by one and all at once, in any order."""
    index = make(tmp_path, keys)

    assert [index.find(key) for key in keys.tolist()] == list(range(len(keys)))
    order = np.random.default_rng(2).permutation(len(keys))
    assert index.find_all(keys[order]).tolist() == order.tolist()
    assert index.find_known(keys[order]).tolist() == order.tolist()


@pytest.mark.usefixtures("small_chunks")
def test_unknown_keys_are_named_with_the_nearest(tmp_path) -> None:
    """Numbers by their neighbours, text by its neighbours in order; other kinds are told apart."""
    numbers = make(tmp_path / "a", np.arange(0, 1000, 10))
    text = make(tmp_path / "b", np.array([f"star-{i:02d}" for i in range(0, 100, 2)]))

    with pytest.raises(UnknownNameError, match=r"object 501 is not in the store. The nearest keys are .*500, 510"):
        numbers.find(501)
    with pytest.raises(KeyError, match=r"nearest keys are .*990"):
        numbers.find(10**30)
    with pytest.raises(KeyError, match=r"object 'star-51' .*'star-50'"):
        text.find("star-51")
    with pytest.raises(KeyError, match="keys are text"):
        text.find(5)
    with pytest.raises(KeyError, match="keys are whole numbers"):
        numbers.find("5")
    with pytest.raises(KeyError, match="object 'star-51'"):
        text.find_all(["star-02", "star-51"])
    with pytest.raises(KeyError, match="object 501"):
        numbers.find_all([0, 501, 7])


@pytest.mark.usefixtures("small_chunks")
def test_keys_that_are_none_are_not_known(tmp_path) -> None:
    """Too long, too large, of another kind: -1, never another object."""
    numbers = make(tmp_path / "a", [-1, 5, 2**62])
    text = make(tmp_path / "b", ["a", "ab"])

    assert numbers.find_known(np.array([2**64 - 1, 5], dtype=np.uint64)).tolist() == [-1, 1]
    assert numbers.find_known(np.array([0.5])).tolist() == [-1]
    assert text.find_known(np.array(["abc", "ab", "b"])).tolist() == [-1, 1, -1]
    assert text.find_known([1, 2]).tolist() == [-1, -1]


def test_an_index_of_no_keys_says_so(tmp_path) -> None:
    """A store without objects has an index that finds nothing."""
    index = make(tmp_path, np.array([], dtype=np.int64))

    assert index.find_known([1]).tolist() == [-1]
    with pytest.raises(KeyError, match="no objects yet"):
        index.find(1)


def test_few_keys_are_read_to_find_one(tmp_path, monkeypatch) -> None:
    """Finding one key reads one chunk of keys and one of positions, however many there are."""
    monkeypatch.setattr(key_index, "table_rows", lambda count: 1000)
    index = make(tmp_path, np.arange(0, 60_000, 3))
    counts = index._key.keys.counts
    before = counts.snapshot()

    assert index.find(3 * 7777) == 7777
    assert (counts.snapshot() - before).gets == 2
    assert index.find(3 * 7778) == 7778
    assert (counts.snapshot() - before).gets == 2


def test_counted_objects() -> None:
    """Keys from 0 on are their own positions."""
    index = RangeKeys(5)

    assert index.find(np.int64(4)) == 4
    assert index.find_all([4, 0]).tolist() == [4, 0]
    assert index.find_known([5, 3, -1]).tolist() == [-1, 3, -1]
    for key in (5, -1, 1.5, "1", None):
        with pytest.raises(UnknownNameError, match="0 to 4"):
            index.find(key)


BAD = {
    "twice": (np.array([3, 4, 3]), "object key 3 comes 2 times"),
    "text twice": (np.array(["a", "a"]), "object key 'a' comes 2 times"),
    "empty": (np.array(["a", ""]), r"object key 1 .* is empty"),
    "long": (np.array(["a" * 257]), "257 bytes, 256 are possible"),
    "float": (np.array([1.5]), "object keys are float64"),
    "too large": (np.array([2**63], dtype=np.uint64), "does not fit into int64"),
}


@pytest.mark.parametrize(("keys", "message"), BAD.values(), ids=BAD)
def test_keys_that_cannot_be(keys, message) -> None:
    """Keys that would be confused or cannot be stored are refused with the first of them."""
    with pytest.raises(InvalidInputError, match=message):
        check_keys(keys)
