"""Where intermediates lie: in a folder of this host, or in a store that every worker of a cluster reaches."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from zarrmill.errors import InvalidInputError, NotFoundError
from zarrmill.execute.chunk_files import read_fully
from zarrmill.execute.fence import Fence
from zarrmill.keyspace import KeySpace
from zarrmill.plan.memory import TILE_REQUEST
from zarrmill.units import format_bytes

TRANSFER = 16 * 2**20
"""Bytes moved by one call: large enough for a disk's full speed."""


class TilePlace(Protocol):
    """The tiles of one intermediate, each under its name: written whole, read in parts."""

    @property
    def location(self) -> str:
        """What people are shown."""

    @property
    def reads_at_once(self) -> int:
        """Parts that are best read at the same time."""

    def write(self, name: str, data: memoryview) -> None:
        """Write a tile; half of one never shows, or is written again."""

    def read_into(self, name: str, offset: int, view: memoryview) -> int:
        """Fill memory from a tile; return the bytes read, fewer only where the tile ends."""

    def exists(self, name: str) -> bool:
        """Tell whether a tile is there."""


class Intermediates(Protocol):
    """All intermediates of a run."""

    @property
    def folder(self) -> Path | None:
        """Folder on this host, None where they lie in a store."""

    def place(self, name: str, fence: Fence | None = None) -> TilePlace:
        """Return one intermediate, written behind a fence."""

    def check_space(self, needed: int, *, max_mem: int) -> None:
        """Raise InvalidInputError when so many bytes cannot fit."""

    def remove(self, name: str | None = None) -> str | None:
        """Remove one intermediate, or all; return its location where that cannot be done."""


@dataclass(frozen=True)
class FileTiles:
    """Tiles as files, read and written past the page cache."""

    folder: Path
    """Where they lie."""
    fence: Fence | None = None
    """Behind which they are made."""
    reads_at_once: int = 2
    """Two reads under way keep a disk busy; more only take the cores from those that encode."""

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.folder)

    def write(self, name: str, data: memoryview) -> None:
        """Write a file."""
        place = self.folder / name
        path = place if self.fence is None else self.fence.new_path()
        os.makedirs(self.folder, exist_ok=True)
        fd = open_direct(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            for start in range(0, len(data), TRANSFER):
                part, done = data[start : start + TRANSFER], 0
                while done < len(part):
                    done += os.pwrite(fd, part[done:], start + done)
        finally:
            os.close(fd)
        if path is not place:
            os.replace(path, place)

    def read_into(self, name: str, offset: int, view: memoryview) -> int:
        """Read a part of a file straight into memory."""
        fd = open_direct(self.folder / name, os.O_RDONLY)
        try:
            return read_fully(fd, view, offset)
        finally:
            os.close(fd)

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""
        return (self.folder / name).exists()


@dataclass(frozen=True)
class KeyTiles:
    """Tiles as keys of a store: one request writes one, and one reads a few mebibytes."""

    keys: KeySpace
    """Where they lie."""
    reads_at_once: int = 4
    """As many requests as hide the time that each takes."""

    @property
    def location(self) -> str:
        """The folder in the store."""
        return self.keys.location

    def write(self, name: str, data: memoryview) -> None:
        """Write a key."""
        self.keys.put(name, data)

    def read_into(self, name: str, offset: int, view: memoryview) -> int:
        """Read a part of a key, TILE_REQUEST bytes at a time."""
        done = 0
        while done < len(view):
            data = self.keys.get_range(name, offset + done, min(TILE_REQUEST, len(view) - done))
            if not data:
                break
            view[done : done + len(data)] = memoryview(data)
            done += len(data)
        return done

    def exists(self, name: str) -> bool:
        """Tell whether a key is there."""
        return self.keys.head(name) is not None


@dataclass(frozen=True)
class DiskIntermediates:
    """Intermediates in a folder of this host."""

    folder: Path
    """The folder, which is the run's own."""

    def place(self, name: str, fence: Fence | None = None) -> FileTiles:
        """Return one of them."""
        return FileTiles(self.folder / name, fence)

    def check_space(self, needed: int, *, max_mem: int) -> None:
        """Raise InvalidInputError when the disk is too full; how small the target gets is known only afterwards."""
        needed -= sum(entry.stat().st_size for entry in self.folder.rglob("*") if entry.is_file())
        folder = self.folder
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise InvalidInputError(
                f"{folder}: the intermediate needs {format_bytes(needed)} and {format_bytes(free)} are free. "
                f"Give another disk with scratch (--scratch), or raise max_mem ({format_bytes(max_mem)})."
            )

    def remove(self, name: str | None = None) -> str | None:
        """Remove a folder."""
        folder = self.folder if name is None else self.folder / name
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
        return str(folder) if os.path.lexists(folder) else None


@dataclass(frozen=True)
class StoreIntermediates:
    """Intermediates in a store."""

    keys: KeySpace
    """Where they lie."""
    folder: None = None
    """There is none."""

    def place(self, name: str, fence: Fence | None = None) -> KeyTiles:
        """Return one of them."""
        return KeyTiles(self.keys.below(name))

    def check_space(self, needed: int, *, max_mem: int) -> None:
        """Do nothing: stores do not fill up."""

    def remove(self, name: str | None = None) -> str | None:
        """Remove keys."""
        try:
            self.keys.delete(info.key for info in self.keys.list(name or ""))
        except OSError:
            return self.keys.location
        return None


def existing(scratch: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a scratch folder; raises NotFoundError where there is none."""
    folder = Path(os.path.abspath(scratch))
    if not folder.is_dir():
        raise NotFoundError(f"scratch folder {folder} is not there. Make it first (mkdir -p).")
    return folder


def open_direct(path: Path, flags: int) -> int:
    """Open a file past the page cache where the file system takes that, else as usual."""
    with contextlib.suppress(OSError, AttributeError):
        return os.open(path, flags | os.O_CLOEXEC | os.O_DIRECT, 0o666)
    return os.open(path, flags | os.O_CLOEXEC, 0o666)
