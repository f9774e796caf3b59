"""What every writer of tiles promises, and the account of what was written."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.execute.keys import add_terms, key_term
from zarrmill.execute.tiles import TileBuffer
from zarrmill.grid import ChunkGrid, Coord, Region

Encoded = Buffer | None
"""Encoded bytes of a chunk, None where the chunk holds nothing but the fill value and is not stored."""
Produce = Callable[[list[Coord]], list[Encoded]]
"""Returns the encoded bytes of some chunks; called in any thread."""


@dataclass(slots=True)
class Written:
    """What was written."""

    nbytes: int = 0
    """Bytes stored."""
    keys: int = 0
    """Keys stored."""
    empty: int = 0
    """Keys left out because all of their values are the fill value."""
    terms: int = 0
    """Fingerprint of the keys and their sizes."""
    checksums: dict[str, int] | None = None
    """CRC-32C of each key, kept when it is to be compared with what is read back."""

    @classmethod
    def start(cls, checksums: bool) -> Written:
        """Return an empty account, with or without checksums."""
        return cls(checksums={} if checksums else None)

    def add(self, other: Written) -> None:
        """Add the account of another part."""
        self.nbytes += other.nbytes
        self.keys += other.keys
        self.empty += other.empty
        self.terms = add_terms(self.terms, other.terms)
        if self.checksums is not None:
            self.checksums.update(other.checksums or {})

    def add_key(self, key: str, nbytes: int, checksum: int | None) -> None:
        """Count one stored key."""
        self.nbytes += nbytes
        self.keys += 1
        self.terms = add_terms(self.terms, key_term(key, nbytes))
        if checksum is not None and self.checksums is not None:
            self.checksums[key] = checksum


class WriteChunks(Protocol):
    """Stores encoded chunks under keys; a block ends with ``finish``."""

    def write(self, region: Region, produce: Produce, *, chunk_nbytes: int, pool: ThreadPoolExecutor) -> None:
        """Store the chunks that touch a region, made by ``produce`` in the threads of a pool."""

    def finish(self) -> Written:
        """Complete what the calls since the last one have begun; return the account of it."""

    def abandon(self) -> None:
        """Release what an unfinished block holds."""


class WriteTiles(Protocol):
    """Takes tiles in order; a block ends with ``finish``."""

    def write(self, tile: TileBuffer, pool: ThreadPoolExecutor) -> None:
        """Write the values of a tile."""

    def finish(self) -> Written:
        """Complete what the tiles since the last call have begun; return the account of it."""

    def abandon(self) -> None:
        """Release what an unfinished block holds."""

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return the grid by which a tile must be cut for this writer, None when it does not matter."""
