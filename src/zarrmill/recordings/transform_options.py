"""What every transform can be told, and what its two places mean."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zarrmill.errors import InvalidInputError, StoreAccessError
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.recordings.identities import Identities


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformOptions:
    """What every transform can be told."""

    identities: Identities = field(default_factory=Identities)
    """What sessions are called outside."""
    keep_local: str | os.PathLike[str] | None = None
    """Folder that keeps downloaded inputs and a copy of every store; None for neither."""
    sync: bool = True
    """Whether a local disk confirms each store before it is shown."""
    storage_options: Mapping[str, Any] | None = field(default=None, repr=False)
    """Options of stores at URLs: of both ends, or below "source" and "target" of one."""

    @property
    def keep_folder(self) -> Path | None:
        """Absolute path of the folder that keeps copies."""
        return None if self.keep_local is None else Path(os.path.abspath(self.keep_local))


@dataclass(frozen=True, slots=True)
class Places:
    """Where a transform reads and writes."""

    source: str
    """Prefix of the inputs."""
    only: str | None
    """Key of the one input that is meant; None for all."""
    destination: str
    """Prefix of the stores."""


def find_places(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str] | None,
    *,
    suffix: str,
    prefixes: tuple[str, str],
) -> Places:
    """Return the places that one or two arguments mean; ``prefixes`` are those below a place that is given alone.

    >>> find_places("s3://lab", None, suffix=".h5", prefixes=("curated-h5", "processed/event"))
    Places(source='s3://lab/curated-h5', only=None, destination='s3://lab/processed/event')
    >>> find_places("in/a.h5", "out", suffix=".h5", prefixes=("", ""))
    Places(source='in', only='a.h5', destination='out')
    """
    text = os.fspath(source)
    single = text.endswith(suffix)
    if destination is None:
        if single:
            raise InvalidInputError("one input says nothing of where its store goes. Give a destination.")
        place = text.rstrip("/")
        return Places(f"{place}/{prefixes[0]}", None, f"{place}/{prefixes[1]}")
    if not single:
        return Places(text, None, os.fspath(destination))
    folder, slash, name = text.rpartition("/")
    return Places(folder or slash or ".", name, os.fspath(destination))


def check_writable(destination: KeySpace) -> None:
    """Raise before any work is done for a place that cannot be written to; a folder is made where there is none.

    Raises InvalidInputError for what can only be read, and StoreAccessError for a folder.
    """
    if destination.read_only:
        raise InvalidInputError(f"{destination.location} can only be read. Give another DESTINATION.")
    if not isinstance(destination, LocalKeys):
        return
    why = ""
    try:
        destination.path.mkdir(parents=True, exist_ok=True)
        # What is made and removed at once says more than permissions do, which are not all that matters.
        tempfile.TemporaryFile(dir=destination.path).close()
    except OSError as error:
        why = error.strerror or type(error).__name__
    if why:
        raise StoreAccessError(f"{destination.location} cannot be written to: {why}. Give another DESTINATION.")
