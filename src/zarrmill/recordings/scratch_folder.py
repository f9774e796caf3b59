"""A folder for downloads that goes with the process that made it, however that process ends.

Curated files are large and tell of people: what a killed run leaves is removed by the next one. The lock on a folder
tells whether its process lives; the system gives it up when that is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "zarrmill-download-"
"""Begin of the names of all such folders; the rest is chance, and tells nothing of whose files they hold."""


class ScratchFolder:
    """A folder that nobody else may look into, to be used in a ``with`` statement or removed by ``remove``."""

    def __init__(self, parent: str | os.PathLike[str] | None = None) -> None:
        where = Path(tempfile.gettempdir() if parent is None else parent)
        remove_abandoned(where)
        self._lock: int | None = None
        while self._lock is None:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=where))
            """Where it is."""
            # Somebody who cleans up may have taken the folder before it was locked: then another is made.
            self._lock = _lock(self.path)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes that are gone; those of others, and what may not be removed, stay."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(folder: Path) -> None:
    with contextlib.suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Return the locked folder, None where somebody took it away."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Where a file system has no locks, nobody can take it for abandoned either.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_SH)
        if folder.is_dir():
            return lock
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None
