"""prefix_store.py: the part of a zarr store below a path."""

from __future__ import annotations

import numpy as np
import zarr
from zarr.core.sync import sync
from zarr.storage import MemoryStore, StorePath

from zarrmill.prefix_store import PrefixStore
from zarrmill.store import open_store


def test_a_part_of_a_store_is_written_and_emptied() -> None:
    """Keys that are written to or deleted from a part of a store are those below its path."""
    memory = MemoryStore()
    opened = open_store(StorePath(memory, "deep/down"), read_only=False)
    array = zarr.create_array(opened.store, shape=(4,), chunks=(2,), dtype="i4")
    array[:] = [1, 2, 3, 4]

    np.testing.assert_array_equal(zarr.open_array(memory, path="deep/down")[:], [1, 2, 3, 4])
    assert sync(opened.store.exists("c/1"))
    sync(opened.store.delete("c/1"))
    assert "deep/down/c/1" not in memory._store_dict
    sync(opened.store.clear())
    assert not memory._store_dict


def test_parts_of_stores_are_told_apart() -> None:
    """Two views of the same part are equal, of other parts not."""
    memory = MemoryStore()

    assert PrefixStore(memory, prefix="a") == PrefixStore(memory, prefix="a/")
    assert PrefixStore(memory, prefix="a") != PrefixStore(memory, prefix="b")
