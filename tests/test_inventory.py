"""inventory.py: one listing shows the chunks of each array, and the drafts."""

from __future__ import annotations

import itertools

import pytest
import zarr

from zarrmill.inventory import Stock, take_inventory
from zarrmill.keyspace import KeySpace
from zarrmill.store import open_keys, open_store

NAMES = itertools.count()


@pytest.fixture
def keys() -> KeySpace:
    """Keys in memory."""
    return open_keys(f"memory://inventory-{next(NAMES)}")


def put(keys: KeySpace, *names: str) -> None:
    for name in names:
        keys.put(name, b"12345")


def test_chunks_go_to_their_arrays(keys: KeySpace) -> None:
    """Both encodings of keys; metadata, and what else lies about, count for no array."""
    put(keys, "zarr.json", "a/zarr.json", "a/c/0/1", "a/c/10/0", "a/notes.txt", "g/b/zarr.json", "g/b/0.1", "stray/c/0")

    found = take_inventory(keys, ["a", "g/b"])

    assert found.arrays == {"a": Stock(2, 10), "g/b": Stock(1, 5)}
    assert found.total == Stock(8, 40)
    assert found.drafts == {}


def test_a_root_array_has_keys(keys: KeySpace) -> None:
    """Its path is empty."""
    put(keys, "zarr.json", "c/0", "c/1")

    assert take_inventory(keys, [""]).arrays == {"": Stock(2, 10)}


def test_one_page_is_one_request(keys: KeySpace) -> None:
    """Whatever the number of arrays."""
    put(keys, "a/c/0", "b/c/0")
    before = keys.counts.lists

    take_inventory(keys, ["a", "b"])

    assert keys.counts.lists == before + 1


def test_claimed_drafts_are_found(keys: KeySpace) -> None:
    """At the root and below; what a draft has left without a claim is none."""
    put(
        keys, ".zarrmill/claim.json", ".zarrmill/journal/1.json", "c/0", "b/.zarrmill/claim.json", "x/.zarrmill/cleared"
    )

    assert take_inventory(keys, []).drafts == {"": Stock(2, 10), "b": Stock(1, 5)}


def test_listings_of_zarr_stores_have_no_sizes() -> None:
    """Then keys alone are counted."""
    store = zarr.storage.MemoryStore()
    zarr.create_array(store, name="a", shape=(4,), chunks=(2,), dtype="i4", fill_value=0)[:] = 1

    assert take_inventory(open_store(store).keys, ["a"]).arrays == {"a": Stock(2, None)}
