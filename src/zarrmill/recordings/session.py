"""A session: one input file below a prefix, what it is called outside, and its bytes on the local disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from zarrmill.errors import NotFoundError, StoreAccessError
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings.identities import Cleaner, Identities
from zarrmill.recordings.local_copy import LocalCopy, download
from zarrmill.recordings.scratch_folder import ScratchFolder

SUFFIX = ".h5"
"""End of the names of curated files."""


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
    def open_source(self, *, keep: Path | None = None) -> Iterator[LocalCopy]:
        """Give the input on the local disk: itself, or a download that goes afterwards unless it is kept.

        Raises NotFoundError, StoreAccessError, and SourceChangedError where it changes while it is read.
        """
        where = self.input_location
        if isinstance(self.source, LocalKeys):
            path = self.source.path / self.key
            _check_readable(path, where)
            yield LocalCopy(path, where)
            return
        with ExitStack() as stack:
            folder = stack.enter_context(ScratchFolder()) if keep is None else keep
            path = folder / self.public_name
            folder.mkdir(parents=True, exist_ok=True)
            yield LocalCopy(path, where, digest=download(self.source, self.key, path, shown=where))


def _check_readable(path: Path, shown: str) -> None:
    if not path.exists():
        raise NotFoundError(f"there is nothing at {shown}")
    if not os.access(path, os.R_OK):
        raise StoreAccessError(f"{shown} may not be read. Check its permissions.")


def find_sessions(
    source: KeySpace, *, suffix: str = SUFFIX, identities: Identities | None = None, only: str | None = None
) -> list[Session]:
    """Return the sessions directly below a prefix, by what they are called outside, in its order.

    However many pages the listing has, all of them are read; ``only`` is the key of a single input that is meant.
    Raises NotFoundError for a folder or a single input that is not there, InvalidInputError for ids that cannot be
    replaced.
    """
    if isinstance(source, LocalKeys) and not source.path.is_dir():
        raise NotFoundError(f"there is no folder {source.location}. Give the folder of the inputs, and a DESTINATION.")
    found = {key: nbytes for key, nbytes in _inputs(source) if _is_input(key, suffix) and only in (None, key)}
    if only is not None and not found:
        # Its name is left out, for it may be that of a person.
        raise NotFoundError(f"the {suffix} file that is named is not in {source.location}. Check its name.")
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
    """Yield keys with their sizes; of a local folder only those directly in it, so that no large tree is walked.

    A link that leads nowhere is an input as well, for else nobody would hear of it.
    """
    if isinstance(source, LocalKeys):
        for name in source.list_dir()[1]:
            info = source.head(name)
            yield name, 0 if info is None else info.nbytes or 0
        return
    for info in source.list():
        yield info.key, info.nbytes or 0
