"""Whether what a block wrote is what it read: by a digest of the stored values, or by checksums of the stored bytes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.digest import Share
from zarrmill.errors import SourceFormatError, VerifyError
from zarrmill.execute.chunk_files import KeyEncoding
from zarrmill.execute.opening import StoredArray, open_reader
from zarrmill.execute.writers import Written
from zarrmill.grid import ChunkGrid, Region
from zarrmill.plan.memory import FETCH_BYTES, key_bound


def digest_written(target: StoredArray, region: Region, pool: ThreadPoolExecutor, threads: int) -> Share:
    """Digest what is now stored in a region of the target, through a reader that remembers nothing."""
    try:
        return open_reader(target, digest=True).digest(region, pool, threads).share
    except SourceFormatError as error:
        # Damaged on its way to the target, or there: writing it again may help, unlike for a damaged source.
        raise VerifyError(
            f"{target.name}: what was written to {_keys_of(target, region)} cannot be read back: {error} "
            f"Check memory, disks and network, then run again."
        ) from error


def compare_shares(target: StoredArray, region: Region, facts: Mapping[str, str]) -> None:
    """Raise VerifyError when a block that read and wrote one region did not write what it read."""
    read, written = facts.get("source_share"), facts["target_share"]
    if read is not None and read != written:
        raise VerifyError(
            f"{target.name}: what was written to {_keys_of(target, region)} has the digest share {written}, "
            f"what was read {read}. Check memory, disks, network, and that codecs keep every bit, then run again."
        )


def compare_checksums(target: StoredArray, written: Written) -> None:
    """Raise VerifyError when the stored bytes of a key are not those that were written."""
    for key, checksum in (written.checksums or {}).items():
        found = stored_crc32c(target, key.removeprefix(f"{target.path}/"))
        if found != checksum:
            raise VerifyError(
                f"{key}: the stored bytes have the checksum {found:08x}, those written had {checksum:08x}. "
                f"Check the disk, then run again."
            )


def stored_crc32c(array: StoredArray, key: str) -> int:
    """Return the CRC-32C of a stored key of an array, read some mebibytes at a time."""
    if key_bound(array.layout) <= FETCH_BYTES:
        # Whole values say how long they are; of a part that is short a store is asked why.
        return crc32c(array.keys.get(key) or b"")
    checksum = start = 0
    while data := array.keys.get_range(key, start, FETCH_BYTES):
        checksum = crc32c(data, checksum)
        start += len(data)
        if len(data) < FETCH_BYTES:
            break
    return checksum


def _keys_of(target: StoredArray, region: Region) -> str:
    """Return the keys of a region of the target, as people are shown them."""
    layout, names = target.layout, KeyEncoding.of(target.document)
    coords = ChunkGrid.over(layout.shape, layout.write_chunk).box(region)
    first, last = names.key(coords.start), names.key(tuple(n - 1 for n in coords.stop))
    return first if first == last else f"{first} to {last}"
