"""A file that lies on the local disk: the one asked for, or a copy of one in a store, removed after use."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from zarrmill.errors import NotFoundError, SourceChangedError
from zarrmill.keyspace import KeySpace
from zarrmill.recordings.model import SourceFacts
from zarrmill.store import is_local, local_path, open_keys

PART = 32 * 2**20
"""Bytes of one request: enough that waiting costs little, few enough that memory stays flat."""


@dataclass(frozen=True)
class LocalCopy:
    """A file that can be opened by its path."""

    path: Path
    """Where it lies."""
    location: str
    """Where it is from: an absolute path or a URL."""
    is_scratch: bool = False
    """Whether it was made for this use."""
    digest: str | None = None
    """Checksum, where the file was read whole already."""

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.location.rstrip("/").rpartition("/")[2]

    @cached_property
    def facts(self) -> SourceFacts:
        """Name, size and checksum; reads the file once."""
        with self.path.open("rb") as file:
            digest = self.digest or hashlib.file_digest(file, "sha256").hexdigest()
            return SourceFacts(self.name, os.fstat(file.fileno()).st_size, digest)

    def remove(self) -> None:
        """Remove a copy; a file of somebody else stays."""
        if self.is_scratch:
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()


def fetch(
    location: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None, scratch: str | None = None
) -> LocalCopy:
    """Return a file by its path, or a copy of one at a URL, in the folder ``scratch`` or that for temporary files.

    Raises NotFoundError where there is nothing, and SourceChangedError for one that changes while it is copied.
    """
    text = os.fspath(location)
    if is_local(text):
        path = local_path(text)
        return LocalCopy(path, str(path))
    keys = open_keys(text, storage_options=storage_options)
    # Names of files in a shared folder tell nothing of whose they are.
    handle, path_text = tempfile.mkstemp(prefix="zarrmill-", suffix=".h5", dir=scratch)
    path = Path(path_text)
    try:
        with os.fdopen(handle, "wb") as file:
            digest = _copy(keys, file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return LocalCopy(path, keys.location, True, digest)


def _copy(keys: KeySpace, file: BinaryIO) -> str:
    """Write all bytes of a key into a file and return their checksum."""
    digest = hashlib.sha256()
    for part in _read_parts(keys):
        file.write(part)
        digest.update(part)
    return digest.hexdigest()


def _read_parts(keys: KeySpace) -> Iterator[memoryview]:
    info = keys.head("")
    if info is None:
        raise NotFoundError(f"there is nothing at {keys.location}")
    size, tag = info.nbytes or 0, info.etag
    for start in range(0, size, PART):
        found = keys.get_tagged("", [(start, min(PART, size - start))])
        if found is None or found[1] != tag:
            raise SourceChangedError(f"{keys.location} changed while it was copied. Run the same command again.")
        yield memoryview(found[0][0])
