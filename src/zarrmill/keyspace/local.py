"""Keys that are files below a folder of the local disk."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from zarrmill.errors import NotFoundError
from zarrmill.keyspace.model import Buffer, KeyInfo, Names, RequestCounts, flat, join

_TEMPORARY = ".zarrmill-tmp"
"""End of the names of files that are being written; they are no keys."""
_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class LocalKeys:
    """Keys that are files below a folder, which need not exist before the first ``put``."""

    read_only = False
    can_list = True
    copies = 1

    def __init__(self, path: str | os.PathLike[str], *, counts: RequestCounts | None = None) -> None:
        self.path = Path(os.path.abspath(path))
        self.location = str(self.path)
        self.counts = counts or RequestCounts()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalKeys) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        return f"LocalKeys({self.location!r})"

    def __reduce__(self) -> tuple[type[LocalKeys], tuple[Path]]:
        return LocalKeys, (self.path,)

    def get(self, key: str) -> Buffer | None:
        """Return the value of a key, None where it is missing."""
        data = None
        with contextlib.suppress(*_MISSING), open(self._file(key), "rb", buffering=0) as file:
            data = file.readall()
        self.counts.add("gets", read=len(data or b""))
        return data

    def get_range(self, key: str, start: int, nbytes: int) -> Buffer | None:
        """Return a part of a value, shorter where the value ends, None where the key is missing."""
        parts = self._parts(key, [(start, nbytes)])
        return None if parts is None else parts[0]

    def get_suffix(self, key: str, nbytes: int) -> Buffer | None:
        """Return the last bytes of a value, None where the key is missing."""
        # Python has no -0, and a start of 0 brings the same nothing.
        parts = self._parts(key, [(-nbytes, nbytes)])
        return None if parts is None else parts[0]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[Buffer]:
        """Return several parts of a value; raises NotFoundError where the key is missing."""
        parts = self._parts(key, ranges)
        if parts is None:
            raise NotFoundError(f"{join(self.location, key)} is missing")
        return parts

    def _parts(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[Buffer] | None:
        parts = _read_parts(self._file(key), ranges)
        self.counts.add("gets", read=sum(map(len, parts or ())))
        return parts

    def get_tagged(self, key: str, ranges: Sequence[tuple[int, int]]) -> tuple[list[Buffer], str | None] | None:
        """Return parts of one version of a value, which has no tag here, None where the key is missing."""
        parts = self._parts(key, ranges)
        return None if parts is None else (parts, None)

    def head(self, key: str) -> KeyInfo | None:
        """Return length and time of a key, None where it is missing."""
        self.counts.add("heads")
        try:
            found = os.stat(self._file(key))
        except _MISSING:
            return None
        return None if stat.S_ISDIR(found.st_mode) else KeyInfo(key, found.st_size, None, found.st_mtime_ns)

    def put(self, key: str, data: Buffer) -> str | None:
        """Write a value to a temporary file beside, and rename that."""
        path = self._file(key)
        self.counts.add("puts", written=memoryview(data).nbytes)
        with _written(path, data) as temporary:
            os.replace(temporary, path)
        return None

    def fill(self, values: Mapping[str, Buffer]) -> None:
        """Write the first keys below a folder that nobody reads before all are there: one that is cut short may stay.

        Raises FileExistsError for a key that is there.
        """
        for key, data in values.items():
            self.counts.add("puts", written=memoryview(data).nbytes)
            _write(_open_new(self._file(key)), data)

    def create(self, key: str, data: Buffer) -> bool:
        """Write a value unless the key is there; return whether it was not."""
        path = self._file(key)
        self.counts.add("puts", written=memoryview(data).nbytes)
        with _written(path, data) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                return _create_in_place(path, data)
        return True

    def list(self, prefix: str = "") -> Iterator[KeyInfo]:
        """Yield every key below a folder."""
        self.counts.add("lists")
        waiting = [prefix]
        while waiting:
            folder = waiting.pop()
            for entry in _scan(self._file(folder)):
                key = join(folder, entry.name)
                if entry.is_dir():
                    waiting.append(key)
                else:
                    # A file may go between the listing and this question.
                    with contextlib.suppress(FileNotFoundError):
                        found = entry.stat()
                        yield KeyInfo(key, found.st_size, None, found.st_mtime_ns)

    def list_dir(self, prefix: str = "") -> Names:
        """Return the names of the folders and of the keys directly below a folder."""
        self.counts.add("lists")
        folders: list[str] = []
        keys: list[str] = []
        for entry in _scan(self._file(prefix)):
            (folders if entry.is_dir() else keys).append(entry.name)
        return folders, keys

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys, and the folders that become empty by that: on an object store there are none either."""
        for key in keys:
            self.counts.add("deletes")
            _remove(self.location, key)

    def sweep(self) -> None:
        """Remove files that writers have left which were killed; nobody else may be writing."""
        for folder, _, names in os.walk(self.location):
            for name in names:
                if name.endswith(_TEMPORARY):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{folder}/{name}")

    def below(self, prefix: str) -> LocalKeys:
        """Return the keys below a folder of this one."""
        return LocalKeys(self._file(prefix), counts=self.counts)

    def unchecked(self) -> LocalKeys:
        """Return this: the file system's own checksums are nothing that can be compared."""
        return self

    def _file(self, key: str) -> str:
        return f"{self.location}/{key}" if key else self.location


def _scan(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.endswith(_TEMPORARY))
    except (FileNotFoundError, NotADirectoryError):
        return


@contextlib.contextmanager
def _written(path: str, data: Buffer) -> Iterator[str]:
    """Give a file of these contents beside a path, which is gone afterwards."""
    temporary = f"{os.path.dirname(path)}/.{secrets.token_hex(8)}{_TEMPORARY}"
    try:
        _write(_open_new(temporary), data)
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _open_new(path: str) -> int:
    """Make a file, and its folder where that is missing or was just removed by somebody who emptied it."""
    for _ in range(10):
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _remove(root: str, key: str) -> None:
    with contextlib.suppress(*_MISSING):
        os.unlink(f"{root}/{key}")
    folder = key.rpartition("/")[0]
    with contextlib.suppress(OSError):
        while folder:
            os.rmdir(f"{root}/{folder}")
            folder = folder.rpartition("/")[0]


def _create_in_place(path: str, data: Buffer) -> bool:
    """Make a file on a file system that has no links: others may see it before it is whole."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return False
    _write(fd, data)
    return True


def _write(fd: int, data: Buffer) -> None:
    view = flat(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def _read_parts(path: str, ranges: Sequence[tuple[int, int]]) -> list[Buffer] | None:
    """Return parts of a file, None where there is none; a negative start counts from its end."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except _MISSING:
        return None
    try:
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            return None
        return [_read_part(fd, start, nbytes, found.st_size) for start, nbytes in ranges]
    finally:
        os.close(fd)


def _read_part(fd: int, start: int, nbytes: int, size: int) -> Buffer:
    if start < 0:
        start = max(0, size + start)
    left = max(0, min(nbytes, size - start))
    data = os.pread(fd, left, start)
    if len(data) == left:
        return data
    # One call moves 2 GiB at most.
    parts = [data]
    while data and (left := left - len(data)):
        start += len(data)
        data = os.pread(fd, left, start)
        parts.append(data)
    return b"".join(parts)
