"""changes.py: what was written, added or removed in a source after a moment is named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zarr

from tests.properties.cases import quiet
from zarrmill.changes import find_reprinted, look_at, take_prints, untold_changes
from zarrmill.digests import stored_arrays
from zarrmill.errors import ResumeError, SourceChangedError, SourceFormatError
from zarrmill.execute.opening import StoredArray
from zarrmill.hierarchy import read_hierarchy
from zarrmill.key_states import file_states
from zarrmill.keyspace import KeySpace
from zarrmill.metadata import layout_of
from zarrmill.progress import BlockFinished
from zarrmill.rechunk import rechunk
from zarrmill.store import open_keys, open_new, open_store

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

    look = look_at(array, THEN)
    changed = look.changed

    assert (changed is None) == (how == "nothing")
    if how == "written":
        assert changed == str(tmp_path / "a" / key.format(1, 1))
    assert changed is None or changed.startswith(str(tmp_path / "a"))
    if how == "nothing":
        expected = file_states(array)
        assert expected is not None
        assert look.states is not None
        assert look.states.tolist() == expected.tolist()


def make_in_store(name: str) -> tuple[KeySpace, dict[str, StoredArray]]:
    """Return two arrays in memory, and their keys."""
    keys = open_keys(f"memory://changes-{name}")
    keys.delete([info.key for info in keys.list()])
    group = zarr.create_group(open_new(keys.location).store)
    for path in ("flux", "time"):
        group.create_array(path, shape=(12, 8), chunks=(3, 4), dtype="i4", fill_value=0)[:6] = 1
    opened = open_store(keys.location)
    return keys, stored_arrays(opened, read_hierarchy(opened))


@pytest.mark.parametrize("how", ["nothing", "rewritten", "added", "removed", "described", "vanished"])
def test_changes_in_a_store_are_found(how: str) -> None:
    """A listing shows a key that was written, added or removed; the array is named, and the key where that is young."""
    keys, arrays = make_in_store(how)
    prints = take_prints(arrays)
    before = keys.get("flux/c/0/0")
    assert before is not None
    if how == "rewritten":
        keys.put("flux/c/0/1", bytes(before))
    elif how == "added":
        keys.put("flux/c/3/0", bytes(before))
    elif how == "removed":
        keys.delete(["flux/c/0/0"])
    elif how == "described":
        keys.put("flux/zarr.json", b"{}")
    elif how == "vanished":
        keys.delete([info.key for info in keys.list("flux")])

    found = find_reprinted(arrays, prints)

    expected = {
        "nothing": None,
        "rewritten": f"{keys.location}/flux (key c/0/1)",
        "added": f"{keys.location}/flux (key c/3/0)",
        "removed": f"{keys.location}/flux (5 keys then, 4 now)",
        "described": f"{keys.location}/flux (key zarr.json)",
        "vanished": f"{keys.location}/flux (5 keys then, 0 now)",
    }
    assert found == expected[how]


def test_a_print_is_that_of_what_is_there() -> None:
    """The same keys give the same identity, and it has no time in it."""
    _, arrays = make_in_store("same")

    assert take_prints(arrays) == take_prints(arrays)
    assert replace(take_prints(arrays)["flux"], newest=(0, "")).say() == take_prints(arrays)["flux"].say()


def test_local_arrays_have_no_prints(tmp_path: Path) -> None:
    """Their files have times."""
    assert take_prints({"": make(tmp_path / "a", chunks=(3, 4))}) == {}
    assert untold_changes({"": make(tmp_path / "b", chunks=(3, 4))}) == []


def test_a_server_that_lists_no_keys_cannot_tell() -> None:
    """There are no prints, and a note says so; nothing is asked."""
    _, arrays = make_in_store("web")
    opened = replace(arrays["flux"].opened, keys=open_keys("http://127.0.0.1:9/a"))
    flux = replace(arrays["flux"], opened=opened)

    assert take_prints({"flux": flux}) == {}
    assert untold_changes({"flux": flux, "time": arrays["time"]}) == [
        "whether the source is changed during the run cannot be told: its server lists no keys"
    ]


@pytest.mark.parametrize("resumed", [False, True], ids=["at the end", "on resume"])
def test_a_source_that_changes_during_the_run_is_refused(resumed: bool) -> None:
    """At the end the array and its key are named and nothing is published; a resumed run says what is otherwise."""
    keys, _ = make_in_store(f"run-{resumed}")
    target = f"{keys.location}-target/b"

    def change(message: object) -> None:
        if isinstance(message, BlockFinished):
            keys.put("flux/c/0/1", bytes(keys.get("time/c/0/0") or b""))
            if resumed:
                raise KeyboardInterrupt

    asked: dict[str, Any] = {"chunks": (12, 2), "arrays": ["flux"]}
    with pytest.raises(KeyboardInterrupt if resumed else SourceChangedError, match=None if resumed else "key c/0/1"):
        rechunk(keys.location, target, **asked, progress=change)
    if resumed:
        with pytest.raises(ResumeError, match=r"listing\.flux: .5 keys of fingerprint \w+. -> .5 keys of"):
            rechunk(keys.location, target, **asked)

    with pytest.raises(SourceFormatError):
        read_hierarchy(open_store(target))
    assert rechunk(keys.location, target, **asked, resume=False).verified
