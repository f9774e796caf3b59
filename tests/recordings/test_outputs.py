"""Files beside the stores, and the removal of what sessions left."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.recordings.sample_transform import plain
from tests.recordings.test_records import RECORD
from zarrmill.errors import InvalidInputError, NotFoundError
from zarrmill.keyspace import KeySpace
from zarrmill.recordings.identities import Cleaner
from zarrmill.recordings.outputs import put_files, remove_outputs
from zarrmill.recordings.session import Session
from zarrmill.recordings.session_result import SessionResult
from zarrmill.store import open_keys


@pytest.fixture
def keys(request: pytest.FixtureRequest) -> KeySpace:
    return open_keys(f"memory://outputs-{plain(request)}/out")


def make_session(keys: KeySpace) -> Session:
    source = keys.below("in")
    source.put("Ada L.h5", b"input")
    return Session("p1", 5, source, "Ada L.h5", Cleaner("Ada L", "p1"))


def test_files_are_copied_and_uploaded(keys: KeySpace, tmp_path: Path):
    """Below the destination, with the id that the session has outside."""
    (tmp_path / "plot.png").write_bytes(b"picture")
    result = SessionResult(
        files_to_copy=(("Ada L.h5", "raw/Ada L.h5"),),
        files_to_upload=((str(tmp_path / "plot.png"), "plots/Ada L.png"),),
    )

    assert put_files(make_session(keys), result, keys) == ("raw/p1.h5", "plots/p1.png")
    assert bytes(keys.get("raw/p1.h5") or b"") == b"input"
    assert bytes(keys.get("plots/p1.png") or b"") == b"picture"


def test_a_file_that_is_not_there_fails_the_session_without_telling_its_id(keys: KeySpace):
    """The message has the id that the session has outside."""
    result = SessionResult(files_to_copy=(("Ada L.json", "x"),))

    with pytest.raises(NotFoundError, match=r"p1\.json to copy is not there"):
        put_files(make_session(keys), result, keys)


@pytest.mark.parametrize("key", ["", "/etc/x", "../x", "a/../../x"])
def test_no_file_goes_anywhere_else(keys: KeySpace, key: str):
    """A key that leaves the destination is refused."""
    with pytest.raises(InvalidInputError, match="no key below"):
        put_files(make_session(keys), SessionResult(files_to_copy=(("Ada L.h5", key),)), keys)


def test_stores_and_files_of_records_are_removed(keys: KeySpace):
    """The metadata of a root first; what no record tells of stays, and what is gone already is no error."""
    for key in ("a.zarr/x/c.0", "a.zarr/zarr.json", "a.zarr/x/zarr.json", "b.zarr/zarr.json", "copies/a.h5"):
        keys.put(key, b"x")
    record = replace(RECORD, zarr_stores=("a.zarr", "gone.zarr"), files=("copies/a.h5", "gone.h5"))

    assert remove_outputs(keys, [record, record]) == 2
    assert [info.key for info in keys.list()] == ["b.zarr/zarr.json"]


@pytest.mark.parametrize("key", ["", "..", "/", "x/../.."])
def test_a_record_that_is_not_ours_removes_nothing_elsewhere(keys: KeySpace, key: str):
    """Whatever somebody wrote into one."""
    keys.put("a.zarr/zarr.json", b"x")

    assert remove_outputs(keys.below("inner"), [replace(RECORD, zarr_stores=(key,), files=(key,))]) == 0
    assert keys.get("a.zarr/zarr.json") is not None


def test_the_root_goes_first(keys: KeySpace, monkeypatch: pytest.MonkeyPatch):
    """From then on nothing opens, wherever the removal is stopped."""
    for key in ("a.zarr/zarr.json", "a.zarr/x/zarr.json", "a.zarr/x/c.0"):
        keys.put(key, b"x")
    calls: list[list[str]] = []
    real = type(keys).delete

    def delete(self: KeySpace, names) -> None:
        calls.append(list(names))
        real(self, calls[-1])

    monkeypatch.setattr(type(keys), "delete", delete)
    remove_outputs(keys, [replace(RECORD, zarr_stores=("a.zarr",), files=())])

    assert calls[0] == ["a.zarr/zarr.json"]
