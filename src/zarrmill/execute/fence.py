"""Files that are made aside and moved into place whole, so that nothing of a run arrives after its end.

Blocks on other machines may outlive their run: its caller was killed, the connection broke, or a worker was given up
and its block ran again elsewhere. Such a block must not tear the files of whoever writes here next. So each run has a
folder of its own, in which its blocks make every file before they rename it to its key: two attempts at one key leave
one whole file, and once the caller has removed the folder, late blocks can neither make nor move anything.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from zarrmill.errors import NotFoundError

PREFIX = "run-"
"""Beginning of the names of the folders; what follows tells one run from any other."""
_METADATA = ("zarr.json", ".zarray")


@dataclass(frozen=True, slots=True)
class Fence:
    """The folder in which the blocks of one run make files, on the disk of where those go."""

    folder: Path
    """The folder; the caller makes it, with a file that says so, because zarr-python makes folders that it misses."""

    @property
    def sign(self) -> Path:
        """File that is there while the run is."""
        return self.folder / "sign"

    def new_path(self) -> Path:
        """Return a path in the folder that no other attempt has. Raises like ``check``."""
        self.check()
        return self.folder / uuid.uuid4().hex

    def check(self) -> None:
        """Raise NotFoundError where the folder is not to be seen: the run is over, or the disk is another."""
        if not self.sign.exists():
            raise NotFoundError(
                f"{socket.gethostname()} does not see {self.folder.parent}, into which this run writes. Processes on "
                f"other machines need a disk that all of them see under the same path."
            )


@dataclass(frozen=True, slots=True)
class Fences:
    """The fences of one run, none of them where no block can outlive it."""

    target: Fence | None = None
    """On the disk of the target."""
    scratch: Fence | None = None
    """On the disk of the intermediates, where there are some."""

    def check(self) -> None:
        """Raise NotFoundError where one is not to be seen."""
        for fence in (self.target, self.scratch):
            if fence is not None:
                fence.check()


@contextmanager
def fenced(folder: Path, *, alone: bool = True) -> Iterator[Fence]:
    """Fence a run off from earlier ones that wrote to the same folder, and at the end from later ones.

    One that is not ``alone`` shares the folder with others that are at work, and leaves their fences.
    """
    for old in folder.glob(f"{PREFIX}*") if alone else ():
        remove(old)
    fence = Fence(folder / f"{PREFIX}{uuid.uuid4().hex}")
    fence.folder.mkdir(parents=True)
    fence.sign.touch()
    try:
        yield fence
    finally:
        remove(fence.folder)


def remove(folder: Path) -> None:
    """Remove a fence with what late blocks are still making in it."""
    with suppress(FileNotFoundError):
        # Renamed first: from then on no late block finds it, while it takes its time to go.
        gone = folder.with_name(f"{PREFIX}gone-{uuid.uuid4().hex}")
        os.rename(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)


def mark_of(folder: Path) -> str:
    """Return what tells the array in a folder from others at the same path on other machines, "" without metadata."""
    for name in _METADATA:
        with suppress(OSError):
            return hashlib.blake2b((folder / name).read_bytes(), digest_size=16).hexdigest()
    return ""


def check_mark(folder: Path, mark: str) -> None:
    """Raise NotFoundError where the array in a folder is not the one that the caller has seen there.

    Without this a worker that sees none would read every chunk as missing, and write fill values.
    """
    if mark_of(folder) != mark:
        raise NotFoundError(
            f"{socket.gethostname()} does not see the source {folder} as it is where the run was started. Processes on "
            f"other machines need a disk that all of them see under the same path."
        )
