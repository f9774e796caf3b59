"""Sessions below a prefix, and their inputs on the local disk."""

import hashlib
from pathlib import Path

import pytest

from tests.recordings.sample_transform import plain
from zarrmill.errors import NotFoundError
from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings import local_copy
from zarrmill.recordings.identities import Identities
from zarrmill.recordings.session import find_sessions
from zarrmill.store import open_keys


@pytest.fixture
def bucket(request: pytest.FixtureRequest):
    """Keys of a store in memory, of this test alone."""
    return open_keys(f"memory://session-{plain(request)}")


def test_sessions_are_the_inputs_directly_below_a_prefix(tmp_path: Path):
    """Other files, hidden ones, and those in folders are none; ids hold spaces and dots."""
    for name in ("b 2.h5", "a.1.h5", "notes.txt", ".h5", "._a.1.h5", "sub/c.h5"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")

    found = find_sessions(LocalKeys(tmp_path))

    assert [(s.session_id, s.nbytes, s.key) for s in found] == [("a.1", 5, "a.1.h5"), ("b 2", 5, "b 2.h5")]


def test_a_suffix_is_taken_off_once(tmp_path: Path):
    """A name that ends in it twice keeps one."""
    (tmp_path / "x.h5.h5").touch()

    assert [s.session_id for s in find_sessions(LocalKeys(tmp_path))] == ["x.h5"]


def test_an_empty_prefix_has_no_sessions(tmp_path: Path, bucket):
    """That nothing matched is for the caller to say; folders of object stores are never missing, for there are none."""
    assert find_sessions(LocalKeys(tmp_path)) == []
    assert find_sessions(bucket) == []


def test_what_is_not_there_is_told(tmp_path: Path):
    """A folder, and a single input, whose name may be that of a person and is not repeated."""
    (tmp_path / "file").touch()
    for name in ("nowhere", "file"):
        with pytest.raises(NotFoundError, match=rf"no folder {tmp_path}/{name}\. Give"):
            find_sessions(LocalKeys(tmp_path / name))
    with pytest.raises(NotFoundError, match=rf"the \.h5 file that is named is not in {tmp_path}"):
        find_sessions(LocalKeys(tmp_path), only="Ada L.h5")


def test_more_sessions_than_a_page_of_a_listing_are_all_found(bucket):
    """A listing of more than 1000 keys is read to its end."""
    for i in range(1234):
        bucket.put(f"s{i:04}.h5", b"x")
    bucket.put("deep/er.h5", b"x")

    assert [s.session_id for s in find_sessions(bucket)] == [f"s{i:04}" for i in range(1234)]


def test_new_ids_are_what_sessions_are_called_and_ordered_by(tmp_path: Path):
    """Neither the text form nor a location tells the old one."""
    for name in ("Ada L", "Bo M"):
        (tmp_path / f"{name}.h5").touch()

    found = find_sessions(LocalKeys(tmp_path), identities=Identities(names={"Ada L": "p2", "Bo M": "p1"}))

    assert [(s.session_id, s.source_id, s.public_name) for s in found] == [
        ("p1", "Bo M", "p1.h5"),
        ("p2", "Ada L", "p2.h5"),
    ]
    assert found[1].input_location == f"{tmp_path}/p2.h5"
    assert "Ada" not in repr(found)


def test_a_local_input_is_opened_where_it_lies(tmp_path: Path):
    """It is neither copied nor removed."""
    (tmp_path / "a.h5").write_bytes(b"abc")

    with find_sessions(LocalKeys(tmp_path))[0].open_source() as found:
        assert found.path == tmp_path / "a.h5"
        assert (found.facts.nbytes, found.facts.sha256) == (3, hashlib.sha256(b"abc").hexdigest())

    assert found.path.exists()


def test_a_remote_input_is_downloaded_in_pieces_and_removed(bucket, monkeypatch: pytest.MonkeyPatch):
    """The copy has the name that the session has outside, and goes with its folder."""
    monkeypatch.setattr(local_copy, "PART", 4)
    bucket.put("Ada L.h5", b"0123456789")
    (session,) = find_sessions(bucket, identities=Identities(names={"Ada L": "p1"}))

    with session.open_source() as found:
        assert found.path.read_bytes() == b"0123456789"
        assert (found.path.name, found.facts.name) == ("p1.h5", "p1.h5")
        assert found.facts.sha256 == hashlib.sha256(b"0123456789").hexdigest()
        assert [entry.name for entry in found.path.parent.iterdir()] == ["p1.h5"]

    assert not found.path.parent.exists()
    assert (bucket.counts.heads, bucket.counts.gets) == (1, 3)


def test_a_download_is_kept_where_that_is_asked_for(bucket, tmp_path: Path):
    """It lies in the folder given."""
    bucket.put("a.h5", b"0123")
    (session,) = find_sessions(bucket)

    with session.open_source(keep=tmp_path / "kept"):
        pass

    assert (tmp_path / "kept" / "a.h5").read_bytes() == b"0123"


def test_an_input_that_grew_since_it_was_listed_is_read_whole(bucket):
    """And one that is gone by then is told, with nothing kept."""
    bucket.put("a.h5", b"0123")
    (session,) = find_sessions(bucket)
    bucket.put("a.h5", b"012345")
    with session.open_source() as found:
        assert found.path.read_bytes() == b"012345"
    bucket.delete(["a.h5"])

    with pytest.raises(NotFoundError, match=r"there is nothing at .*/a\.h5"), session.open_source():
        pass


def test_an_empty_remote_input_is_an_empty_file(bucket):
    """Nothing is asked for where nothing is."""
    bucket.put("a.h5", b"")
    (session,) = find_sessions(bucket)

    with session.open_source() as found:
        assert found.path.read_bytes() == b""


def test_one_input_can_be_meant(tmp_path: Path):
    """Then a list of ids need not have the others."""
    for name in ("Ada L", "Bo M"):
        (tmp_path / f"{name}.h5").write_bytes(b"abc")

    found = find_sessions(LocalKeys(tmp_path), identities=Identities(names={"Bo M": "p1"}), only="Bo M.h5")

    assert [session.session_id for session in found] == ["p1"]
