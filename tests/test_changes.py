"""changes.py: what was written, added or removed in a source after a moment is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zarr

from tests.properties.cases import quiet
from zarrmill.changes import find_changed
from zarrmill.execute.opening import StoredArray
from zarrmill.hierarchy import read_hierarchy
from zarrmill.metadata import layout_of
from zarrmill.store import open_store

THEN = 10**18


def make(path: Path, **layout: object) -> StoredArray:
    """Return an array with some missing chunks, none of whose files is younger than THEN."""
    with quiet():
        array = zarr.create_array(path, shape=(12, 8), dtype="i4", fill_value=0, **layout)
        array[:6] = 1
    for folder, _, names in os.walk(path):
        for name in (*names, "."):
            os.utime(os.path.join(folder, name), ns=(THEN, THEN))
    opened = open_store(path)
    node = read_hierarchy(opened).nodes[""]
    return StoredArray(opened, "", node.metadata, layout_of(node))


LAYOUTS = {
    "folders": {"chunks": (3, 4)},
    "flat": {"chunks": (3, 4), "chunk_key_encoding": {"name": "default", "separator": "."}},
    "shards": {"chunks": (3, 2), "shards": (3, 4)},
    "v2": {"chunks": (3, 4), "zarr_format": 2},
}
KEYS = {"folders": "c/{}/{}", "flat": "c.{}.{}", "shards": "c/{}/{}", "v2": "{}.{}"}


@pytest.mark.parametrize("how", ["nothing", "written", "added", "removed", "described", "vanished"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_changes_are_found(tmp_path: Path, layout: str, how: str) -> None:
    """A key that was written, added or removed shows, by its own name or by its folder's; an old one does not."""
    array, key = make(tmp_path / "a", **LAYOUTS[layout]), KEYS[layout]
    if how == "written":
        (tmp_path / "a" / key.format(1, 1)).write_bytes(b"new")
    elif how == "added":
        place = tmp_path / "a" / key.format(3, 0)
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"new")
    elif how == "removed":
        (tmp_path / "a" / key.format(0, 1)).unlink()
    elif how == "described":
        (tmp_path / "a" / (".zarray" if layout == "v2" else "zarr.json")).write_text("{}")
    elif how == "vanished":
        os.rename(tmp_path / "a", tmp_path / "b")

    changed = find_changed(array, THEN)

    assert (changed is None) == (how == "nothing")
    if how == "written":
        assert changed == str(tmp_path / "a" / key.format(1, 1))
    assert changed is None or changed.startswith(str(tmp_path / "a"))
