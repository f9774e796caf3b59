"""keyspace/local.py: what is special about files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from zarrmill.keyspace.local import LocalKeys


def files_below(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_nothing_is_made_before_a_write(tmp_path: Path) -> None:
    """Reading, listing and removing make no folder."""
    keys = LocalKeys(tmp_path / "a")
    keys.get("b")
    list(keys.list())
    keys.delete(["b"])

    assert files_below(tmp_path) == []


def test_values_are_files(tmp_path: Path) -> None:
    """A key is a file, with the permissions that others get, and nothing is left beside it."""
    LocalKeys(tmp_path).put("a/b", b"1")
    LocalKeys(tmp_path).create("a/c", b"2")
    (tmp_path / "plain").write_bytes(b"")

    assert files_below(tmp_path) == ["a", "a/b", "a/c", "plain"]
    assert (tmp_path / "a" / "b").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_empty_place_is_filled_at_once(tmp_path: Path) -> None:
    """Values are where ``put`` would have them, and counted so; one that is there is never written over."""
    keys = LocalKeys(tmp_path / "a")
    keys.fill({"b/c": b"1", "d": b"", "b/e": memoryview(b"22")})

    assert {info.key: bytes(keys.get(info.key) or b"") for info in keys.list()} == {"b/c": b"1", "d": b"", "b/e": b"22"}
    assert (keys.counts.puts, keys.counts.bytes_written) == (3, 3)
    with pytest.raises(FileExistsError):
        keys.fill({"d": b"other"})
    assert keys.get("d") == b""


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of a write leaves the value of before, and no temporary file."""
    keys = LocalKeys(tmp_path)
    keys.put("a", b"before")
    write = os.write

    def fail(fd: int, data: memoryview) -> int:
        if len(data) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data[:5])

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        keys.put("a", b"after it")
    monkeypatch.undo()

    assert keys.get("a") == b"before"
    assert files_below(tmp_path) == ["a"]


def test_what_is_being_written_is_no_key(tmp_path: Path) -> None:
    """The temporary file of a run that was killed is not listed."""
    keys = LocalKeys(tmp_path)
    keys.put("c/0", b"1")
    (tmp_path / "c" / ".0123456789abcdef.zarrmill-tmp").write_bytes(b"half")

    assert [found.key for found in keys.list()] == ["c/0"]
    assert keys.list_dir("c") == ([], ["0"])


def test_file_systems_without_links_create_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no hard links, the first still wins."""

    def no_link(source: str, target: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    keys = LocalKeys(tmp_path)

    assert [keys.create("a", b"first"), keys.create("a", b"second")] == [True, False]
    assert keys.get("a") == b"first"
    assert files_below(tmp_path) == ["a"]


def test_other_faults_of_a_link_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that fails for another reason is an error, not a reason for another way."""

    def broken(source: str, target: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", broken)
    with pytest.raises(OSError, match="Input/output error"):
        LocalKeys(tmp_path).create("a", b"1")


def test_empty_folders_go_with_their_last_key(tmp_path: Path) -> None:
    """Folders above a removed key go as far as they are empty, and the root stays."""
    keys = LocalKeys(tmp_path / "root")
    for key in ("a/b/c/1", "a/2"):
        keys.put(key, b"")
    keys.delete(["a/b/c/1"])
    assert files_below(tmp_path) == ["root", "root/a", "root/a/2"]

    keys.delete(["a/2"])
    assert files_below(tmp_path) == ["root"]


def test_times_are_those_of_the_files(tmp_path: Path) -> None:
    """A key tells when its file was written."""
    keys = LocalKeys(tmp_path)
    keys.put("a", b"1")
    os.utime(tmp_path / "a", ns=(0, 1_234_567_890_123_456_789))
    found = keys.head("a")

    assert found is not None
    assert (found.modified_ns, found.etag) == (1_234_567_890_123_456_789, None)
    assert list(keys.list()) == [found]


def test_faults_of_the_disk_name_the_file(tmp_path: Path) -> None:
    """An error of the operating system comes as it is, with the file's name."""
    keys = LocalKeys(tmp_path)
    keys.put("a", b"1")

    with pytest.raises(OSError, match=str(tmp_path)):
        keys.put("a/b", b"2")
