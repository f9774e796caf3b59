"""The index of a shard: where each inner chunk lies in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.bytes_codecs import Buffer, checked_payload, make
from zarrmill.errors import SourceFormatError

EMPTY = np.iinfo(np.uint64).max
"""Offset and length of an inner chunk that is not stored."""

Index = NDArray[np.uint64]
"""(inner chunks in C order, 2): offset and length in bytes."""


@dataclass(frozen=True, slots=True)
class IndexFormat:
    """How the index of the shards of one array is stored."""

    count: int
    """Inner chunks per shard."""
    checksum: bool = True
    """Whether a CRC-32C follows."""
    location: Literal["start", "end"] = "end"
    """Which end of the shard it lies at."""
    big_endian: bool = False
    """Byte order of the offsets."""

    @property
    def nbytes(self) -> int:
        """Stored bytes of the index."""
        return 16 * self.count + 4 * self.checksum

    @classmethod
    def from_codec(cls, configuration: Mapping[str, Any], *, count: int) -> IndexFormat | None:
        """Return the format that a ``sharding_indexed`` codec asks for, or None when the driver has no such index."""
        codecs = list(configuration.get("index_codecs", ()))
        if not codecs or codecs[0]["name"] != "bytes" or [c["name"] for c in codecs[1:]] not in ([], ["crc32c"]):
            return None
        endian = (codecs[0].get("configuration") or {}).get("endian", "little")
        location = configuration.get("index_location", "end")
        return cls(count, checksum=len(codecs) > 1, location=location, big_endian=endian == "big")

    def decode(self, data: Buffer) -> Index:
        """Return the index in its stored bytes; raises SourceFormatError when they are not one."""
        if len(data) != self.nbytes:
            raise SourceFormatError(f"shard index of {len(data)} bytes where {self.nbytes} are needed: cut short")
        payload = checked_payload(data) if self.checksum else memoryview(data)
        stored = np.frombuffer(payload, dtype=">u8" if self.big_endian else "<u8")
        return stored.astype(np.uint64, copy=False).reshape(self.count, 2)

    def encode(self, index: Index) -> bytes:
        """Return the stored bytes of an index."""
        payload = index.astype(">u8" if self.big_endian else "<u8").tobytes()
        return bytes(make({"name": "crc32c"}).encode(payload)) if self.checksum else payload


def empty_index(count: int) -> Index:
    """Return the index of a shard in which nothing is stored yet."""
    return np.full((count, 2), EMPTY, dtype=np.uint64)
