"""A file that lies on the local disk: the one asked for, or a copy of one in a store, removed after use."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

from zarrmill.errors import NotFoundError, SourceChangedError, ZarrmillError
from zarrmill.execute.futures import collect
from zarrmill.execute.run import is_disk_full
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import Buffer, KeySpace
from zarrmill.recordings.model import SourceFacts
from zarrmill.recordings.scratch_folder import ScratchFolder
from zarrmill.store import is_local, local_path, open_keys
from zarrmill.units import format_bytes

PART = 8 * 2**20
"""Bytes of one request: enough that asking costs little beside them."""
PARTS_AT_ONCE = 4
"""Requests under way: one alone does not fill a line, and a file of any size takes no more memory than these."""


@dataclass(frozen=True)
class LocalCopy:
    """A file that can be opened by its path."""

    path: Path
    """Where it lies."""
    location: str
    """Where it is from: an absolute path or a URL."""
    scratch: ScratchFolder | None = field(default=None, repr=False)
    """Folder that was made for it; None for a file of somebody else."""
    digest: str | None = None
    """Checksum, where the file was read whole already."""

    @property
    def name(self) -> str:
        """File name without folders."""
        return self.location.rstrip("/").rpartition("/")[2]

    @cached_property
    def facts(self) -> SourceFacts:
        """Name, size and checksum; reads the file once."""
        return SourceFacts(self.name, self.path.stat().st_size, self.digest or checksum(self.path))

    def remove(self) -> None:
        """Remove a copy; a file of somebody else stays."""
        if self.scratch is not None:
            self.scratch.remove()


def fetch(
    location: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None, scratch: str | None = None
) -> LocalCopy:
    """Return a file by its path, or a copy of one at a URL, below the folder ``scratch`` or that for temporary files.

    Raises NotFoundError where there is nothing, and SourceChangedError for one that changes while it is copied.
    """
    text = os.fspath(location)
    if is_local(text):
        path = local_path(text)
        return LocalCopy(path, str(path))
    keys = open_keys(text, storage_options=storage_options)
    folder = ScratchFolder(scratch)
    try:
        path = folder.path / "recording.h5"
        return LocalCopy(path, keys.location, folder, download(keys, "", path, shown=keys.location))
    except BaseException:
        folder.remove()
        raise


def download(keys: KeySpace, key: str, path: Path, *, shown: str) -> str:
    """Write all bytes of a key to a file, which appears whole or not at all, and return their checksum.

    ``shown`` is what messages call the key. Raises NotFoundError where there is nothing, SourceChangedError where the
    key changes meanwhile, so that parts of two versions never become one file, and ZarrmillError on a full disk.
    """
    info = keys.head(key)
    if info is None:
        raise NotFoundError(f"there is nothing at {shown}")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            digest = _write_parts(keys, key, file, nbytes=info.nbytes or 0, tag=info.etag, shown=shown)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if is_disk_full(error):
            room = f"{format_bytes(info.nbytes or 0)} in {path.parent}"
            raise ZarrmillError(f"{shown}: no space for a copy, {room}. Free some, or set TMPDIR.") from error
        raise
    return digest


def _write_parts(keys: KeySpace, key: str, file: BinaryIO, *, nbytes: int, tag: str | None, shown: str) -> str:
    digest = hashlib.sha256()
    calls = (partial(keys.get_tagged, key, [(start, min(PART, nbytes - start))]) for start in range(0, nbytes, PART))
    for found in collect(WORKSHOP.requests(), calls, in_flight=PARTS_AT_ONCE):
        if found is None or found[1] != tag:
            raise SourceChangedError(f"{shown} changed while it was copied. Run the same command again.")
        part: Buffer = found[0][0]
        file.write(part)
        digest.update(part)
    return digest.hexdigest()


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
