"""A session: one input file below a prefix, what it is called outside, and its bytes on the local disk."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from zarrmill.errors import NotFoundError, SourceChangedError
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings.identities import Cleaner, Identities

SUFFIX = ".h5"
"""End of the names of curated files."""
PIECE_BYTES = 8 * 2**20
"""Bytes of one request of a download, so that a file of any size takes little memory."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session. Neither its text form nor anything that is written tells its id as the input has it."""

    session_id: str
    """What it is called in everything that is written."""
    nbytes: int
    """Size of its input."""
    source: KeySpace = field(repr=False)
    """Keys of the prefix that it was found below."""
    key: str = field(repr=False)
    """Key of its input."""
    cleaner: Cleaner = field(repr=False)
    """Replaces its id in text."""
    suffix: str = field(default=SUFFIX, repr=False)
    """End of the name of its input."""

    @property
    def source_id(self) -> str:
        """Id as the input has it: for finding it, never for output."""
        return self.cleaner.source_id

    @property
    def public_name(self) -> str:
        """Name of the input with the id that it has outside."""
        return f"{self.session_id}{self.suffix}"

    @property
    def input_location(self) -> str:
        """Where the input lies, with the id that it has outside."""
        return self.cleaner(f"{self.source.location}/{self.key}")

    @contextmanager
    def open_source(self, *, keep: Path | None = None) -> Iterator[Path]:
        """Give the input as a file of the local disk: itself, or a download that goes afterwards unless it is kept.

        Raises NotFoundError, SourceChangedError where it changes while it is read.
        """
        if isinstance(self.source, LocalKeys):
            yield self.source.path / self.key
            return
        with tempfile.TemporaryDirectory(prefix="zarrmill-session-") as folder:
            path = Path(folder) / self.public_name if keep is None else keep / self.public_name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._download(path)
            yield path

    def _download(self, path: Path) -> None:
        temporary = path.with_name(f".{path.name}.tmp")
        tags = set()
        with open(temporary, "wb") as file:
            for start in range(0, self.nbytes, PIECE_BYTES):
                found = self.source.get_tagged(self.key, [(start, min(PIECE_BYTES, self.nbytes - start))])
                if found is None:
                    raise NotFoundError(f"{self.input_location} is not there any more. Run again.")
                file.write(found[0][0])
                tags.add(found[1])
        if len(tags) > 1 or temporary.stat().st_size != self.nbytes:
            temporary.unlink()
            raise SourceChangedError(f"{self.input_location} changed while it was downloaded. Run again.")
        os.replace(temporary, path)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_sessions(
    source: KeySpace, *, suffix: str = SUFFIX, identities: Identities | None = None, only: str | None = None
) -> list[Session]:
    """Return the sessions directly below a prefix, by what they are called outside, in its order.

    However many pages the listing has, all of them are read; ``only`` is the key of a single input that is meant.
    Raises InvalidInputError for ids that cannot be replaced.
    """
    found = {key: nbytes for key, nbytes in _inputs(source) if _is_input(key, suffix) and only in (None, key)}
    ids = {key: key.removesuffix(suffix) for key in found}
    public = (identities or Identities()).public_ids(ids.values())
    sessions = [
        Session(public[name], found[key], source, key, Cleaner(name, public[name]), suffix) for key, name in ids.items()
    ]
    return sorted(sessions, key=lambda session: session.session_id)


def _is_input(key: str, suffix: str) -> bool:
    # Names with a dot in front are what systems leave behind beside the files.
    return key.endswith(suffix) and len(key) > len(suffix) and "/" not in key and not key.startswith(".")


def _inputs(source: KeySpace) -> Iterator[tuple[str, int]]:
    """Yield keys with their sizes; of a local folder only those directly in it, so that no large tree is walked."""
    if isinstance(source, LocalKeys):
        for name in source.list_dir()[1]:
            info = source.head(name)
            if info is not None:
                yield name, info.nbytes or 0
        return
    for info in source.list():
        yield info.key, info.nbytes or 0
