"""Files on the local disk, their own or copied there."""

from __future__ import annotations

import errno
import hashlib
import uuid

import pytest

from zarrmill.errors import SourceChangedError, StoreUnavailableError, ZarrmillError
from zarrmill.recordings import local_copy
from zarrmill.recordings.local_copy import download, fetch
from zarrmill.recordings.model import SourceFacts
from zarrmill.store import open_keys


@pytest.fixture
def url():
    """A file of 10 bytes in a store."""
    url = f"memory://{uuid.uuid4().hex}/folder/a b.h5"
    open_keys(url).put("", b"0123456789")
    return url


def _facts(name):
    return SourceFacts(name, 10, hashlib.sha256(b"0123456789").hexdigest())


def test_a_local_file_is_used_where_it_is(tmp_path):
    """It is neither copied nor removed."""
    (tmp_path / "a.h5").write_bytes(b"0123456789")
    copy = fetch(tmp_path / "a.h5")
    copy.remove()

    assert copy.path == tmp_path / "a.h5"
    assert copy.facts == _facts("a.h5")


@pytest.mark.parametrize("part", [3, 10, 100])
def test_a_remote_file_is_copied_part_by_part(url, tmp_path, monkeypatch, part):
    """All bytes arrive whatever the size of a part, and the checksum is of all of them."""
    monkeypatch.setattr(local_copy, "PART", part)
    copy = fetch(url, scratch=str(tmp_path))

    assert copy.path.read_bytes() == b"0123456789"
    assert copy.facts == _facts("a b.h5")
    copy.remove()
    copy.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_changes_is_not_copied(url, tmp_path, monkeypatch):
    """Parts of two versions never become one file, and nothing is left behind."""
    monkeypatch.setattr(local_copy, "PART", 5)
    monkeypatch.setattr(local_copy, "PARTS_AT_ONCE", 1)
    keys = open_keys(url)

    class Changing:
        location = keys.location

        def head(self, key):
            return keys.head(key)

        def get_tagged(self, key, ranges):
            found = keys.get_tagged(key, ranges)
            keys.put("", b"9876543210")
            return found

    monkeypatch.setattr(local_copy, "open_keys", lambda *_, **__: Changing())
    with pytest.raises(SourceChangedError, match="changed while it was copied"):
        fetch(url, scratch=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_kept_copy_is_never_half_there(url, tmp_path, monkeypatch):
    """A download that fails leaves what was there before."""
    monkeypatch.setattr(local_copy, "PART", 5)
    path = tmp_path / "kept.h5"
    keys = open_keys(url)
    assert download(keys, "", path, shown="a") == hashlib.sha256(b"0123456789").hexdigest()

    class Failing:
        head = keys.head

        def get_tagged(self, key, ranges):
            if ranges[0][0]:
                raise StoreUnavailableError("no answer")
            return keys.get_tagged(key, ranges)

    keys.put("", b"abcdefghij")
    with pytest.raises(StoreUnavailableError):
        download(Failing(), "", path, shown="a")

    assert path.read_bytes() == b"0123456789"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_says_where_and_how_much(url, tmp_path, monkeypatch):
    """It is the disk of the copy, and not that of the target."""

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local_copy, "_write_parts", refuse)
    with pytest.raises(ZarrmillError, match=rf"b\.h5: no space for a copy, 10 B in {tmp_path}.*set TMPDIR"):
        fetch(url, scratch=str(tmp_path))
    assert list(tmp_path.iterdir()) == []
