"""Moves encoded chunks from one layout to another without encoding them again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from zarrmill.codecs.bytes_codecs import Buffer, checked_payload, crc32c
from zarrmill.errors import SourceFormatError
from zarrmill.execute.fence import Fence
from zarrmill.execute.opening import StoredArray, encoded_chunks, has_checksum, open_chunk_writer, open_reader
from zarrmill.execute.readers import Tally
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.execute.writers import Encoded, Written
from zarrmill.grid import Coord, Region
from zarrmill.plan.model import Advance


class BytesMover:
    """Moves encoded chunks from one layout to another as they are, decoding them only for the digest."""

    def __init__(self, source: StoredArray, target: StoredArray, *, verify: str, fence: Fence | None = None) -> None:
        self._name = source.name
        self._remote = source.root is None
        self._chunks = encoded_chunks(source)
        self._writer = open_chunk_writer(target, checksums=verify == "written", fence=fence)
        self._reader = open_reader(source, digest=True) if verify == "full" else None
        self._had_checksum = has_checksum(source)
        self._gets_checksum = has_checksum(target)
        self._chunk_nbytes = source.layout.chunk_nbytes
        self._itemsize = source.layout.itemsize
        self._lock = threading.Lock()
        self._tally = Tally()

    def move(self, region: Region, pool: ThreadPoolExecutor, advance: Advance) -> tuple[Tally, Written]:
        """Move the chunks of a region; return what was read and what was written."""
        self._tally = Tally()
        try:
            self._writer.write(region, self._produce, chunk_nbytes=self._chunk_nbytes, pool=pool)
            written = self._writer.finish()
        except BaseException:
            self._writer.abandon()
            raise
        if self._reader is not None:
            self._tally.share = self._reader.digest(region, pool, pool._max_workers).share
        advance(region.size * self._itemsize)
        return self._tally, written

    def _produce(self, coords: list[Coord]) -> list[Encoded]:
        # From a store all are asked for at once: a thread that waits for one after the other would do nothing else.
        encoded = list(WORKSHOP.requests().map(self._moved, coords) if self._remote else map(self._moved, coords))
        with self._lock:
            self._tally.chunks += len(coords)
            self._tally.nbytes += sum(len(data) for data in encoded if data is not None)
        return encoded

    def _moved(self, coord: Coord) -> Encoded:
        try:
            payload = self._payload(coord)
        except SourceFormatError as error:
            raise SourceFormatError(
                f"{self._name}: chunk {self._chunks.key(coord)} cannot be read: {error}. "
                f"Restore it from a copy, or remove it to have it read as missing."
            ) from error
        if payload is None:
            return None
        copied = bytes(payload)
        return copied + crc32c(copied).to_bytes(4, "little") if self._gets_checksum else copied

    def _payload(self, coord: Coord) -> Buffer | None:
        """Return the encoded chunk without its checksum; one that does not fit it is read a second time."""
        data = self._chunks.read([coord])[0]
        if data is None or not self._had_checksum:
            return data
        try:
            return checked_payload(data)
        except SourceFormatError:
            again = self._chunks.read_again(coord)
            if again is None:
                raise
            return checked_payload(again)
