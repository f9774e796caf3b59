"""key_states.py: a key that was written again has another state; what nothing tells is None."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from tests.properties.cases import quiet
from zarrmill.changes import take_prints
from zarrmill.execute.opening import StoredArray
from zarrmill.hierarchy import read_hierarchy
from zarrmill.key_states import file_states
from zarrmill.metadata import layout_of
from zarrmill.store import open_new, open_store

LAYOUTS: dict[str, dict[str, Any]] = {
    "folders": {"chunks": (3, 4)},
    "flat": {"chunks": (3, 4), "chunk_key_encoding": {"name": "default", "separator": "."}},
    "shards": {"chunks": (3, 2), "shards": (3, 4)},
    "v2": {"chunks": (3, 4), "zarr_format": 2},
}


def make(store: Any, **layout: Any) -> Any:
    with quiet():
        array = zarr.create_array(store, shape=(12, 8), dtype="i4", fill_value=0, **layout)
        array[:6] = 1
    return array


def stored(location: Any) -> StoredArray:
    opened = open_store(location)
    node = read_hierarchy(opened).nodes[""]
    return StoredArray(opened, "", node.metadata, layout_of(node))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("place", ["disk", "store"])
def test_the_chunks_that_are_written_again_have_other_states(
    tmp_path: Path, request: pytest.FixtureRequest, layout: str, place: str
) -> None:
    """One for each key in C order, 0 for those that are missing; a new value, or another time, is another state."""
    location: Any = tmp_path / "a" if place == "disk" else f"memory://{request.node.name}-{os.getpid()}"
    array = make(location if place == "disk" else open_new(location).store, **LAYOUTS[layout])

    def states() -> np.ndarray:
        found = stored(location)
        taken = file_states(found) if place == "disk" else take_prints({"": found})[""].states
        assert taken is not None
        return taken

    before = states()
    with quiet():
        array[3:6, 4:] = 7
        array[9:12, :4] = 8
    after = states()

    assert (before != 0).tolist() == [True] * 4 + [False] * 4
    assert np.flatnonzero(before != after).tolist() == [3, 6]


def test_a_file_of_another_time_has_another_state(tmp_path: Path) -> None:
    """Time and length tell, not the values."""
    make(tmp_path / "a", chunks=(3, 4))
    before = file_states(stored(tmp_path / "a"))
    os.utime(tmp_path / "a" / "c" / "0" / "0", ns=(5, 5))
    after = file_states(stored(tmp_path / "a"))
    assert before is not None
    assert after is not None
    assert np.flatnonzero(before != after).tolist() == [0]


def test_stores_that_tell_nothing() -> None:
    """A listing without times and tags tells no old key from a new one."""
    store = zarr.storage.MemoryStore()
    make(store, chunks=(3, 4))
    found = stored(store)
    assert take_prints({"": found})[""].states is None
