"""Codecs from bytes to bytes, each as a pair of plain functions that may run in any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import google_crc32c
import numcodecs
import numcodecs.blosc
import numpy as np
import zstandard
from numpy.typing import NDArray

from zarrmill.errors import SourceFormatError

Buffer = bytes | bytearray | memoryview
Encode = Callable[[Any], Buffer]
Decode = Callable[[Any, int], Buffer]

ZSTD_DEFAULT_LEVEL = 3
"""What level 0 means to the zstd library."""
ZSTD_OWN_CONTEXT_BELOW = 64 * 1024
"""Decoded bytes below which a context that is kept beats one that is made anew for each chunk by 8 us; above, the
decoder that writes straight into the caller's memory wins."""

BLOSC_HEADER = 16
"""Bytes before the data of a blosc chunk: among them its decoded size (from 4) and its encoded size (from 12)."""
numcodecs.blosc.use_threads = False
"""The pool has a thread per core already; blosc's own would take turns with it behind one lock."""

GENERIC = frozenset({"zlib", "lz4", "bz2", "lzma", "shuffle", "crc32", "adler32", "fletcher32", "jenkins_lookup3"})
"""Codecs of numcodecs from bytes to bytes that Zarr v3 knows as ``numcodecs.<id>``."""


@dataclass(frozen=True, slots=True)
class BytesCodec:
    """One codec from bytes to bytes."""

    name: str
    """Name in the metadata."""
    encode: Encode
    """Return the encoded bytes of a contiguous buffer."""
    decode: Decode
    """Return the decoded bytes of a buffer, given how many are expected (0 when unknown)."""
    decode_into: Callable[[Any, Any], bool] | None = None
    """Decode a buffer into writable memory and return True, or False where it does not hold exactly as many bytes."""
    encode_many: Callable[[NDArray[np.uint8]], list[Buffer]] | None = None
    """Encode the rows of a contiguous matrix in one call, which lets other threads run for longer than each would."""
    decode_many: Callable[[Sequence[Any], NDArray[np.uint8]], bool] | None = None
    """Decode buffers into the rows of a matrix and return True, or False where not all of them fit."""


class _ZstdContexts(threading.local):
    """One compressor and one decompressor per thread: making them costs more than a small chunk."""

    def __init__(self, level: int, checksum: bool) -> None:
        self.compressor = zstandard.ZstdCompressor(level=level or ZSTD_DEFAULT_LEVEL, write_checksum=checksum)
        self.decompressor = zstandard.ZstdDecompressor()


def _zstd(config: Mapping[str, Any]) -> BytesCodec:
    level, checksum = int(config.get("level", 0)), bool(config.get("checksum", False))
    contexts = _ZstdContexts(level, checksum)
    large = numcodecs.Zstd(level=level, checksum=checksum)

    def encode(data: Any) -> Buffer:
        return contexts.compressor.compress(data)

    def decode(data: Any, nbytes: int) -> Buffer:
        size = zstandard.frame_content_size(data)
        if size > 0 and nbytes in (0, size):
            return contexts.decompressor.decompress(data)
        if 0 < nbytes < size:
            raise SourceFormatError(f"a frame of {size} bytes where {nbytes} are expected")
        # Written in pieces: the size is not told, or this is the first of several frames.
        decoded: bytes = large.decode(data)
        return decoded

    def decode_into(data: Any, out: Any) -> bool:
        if zstandard.frame_content_size(data) != out.nbytes:
            return False
        large.decode(data, out)
        return True

    def encode_many(rows: NDArray[np.uint8]) -> list[Buffer]:
        made: Any = contexts.compressor.multi_compress_to_buffer(_segments(rows))
        return list(made)

    def decode_many(parts: Sequence[Any], rows: NDArray[np.uint8]) -> bool:
        sizes = np.full(len(rows), rows.shape[1], dtype="=u8").tobytes()
        try:
            decoded: Any = contexts.decompressor.multi_decompress_to_buffer(list(parts), decompressed_sizes=sizes)
        except zstandard.ZstdError:
            return False
        room, step = rows.reshape(-1).data, rows.shape[1]
        # Slices of a memoryview, because a row of numpy costs as much as decoding a small chunk.
        for start, data in zip(range(0, room.nbytes, step), decoded, strict=True):
            room[start : start + step] = data
        return True

    many = {"multi_compress_to_buffer", "multi_decompress_to_buffer"} <= zstandard.backend_features
    return BytesCodec("zstd", encode, decode, decode_into, *((encode_many, decode_many) if many else ()))


def _segments(rows: NDArray[np.uint8]) -> zstandard.BufferWithSegments:
    """Return the rows of a contiguous matrix as the library takes them: offsets and lengths beside one buffer."""
    count, nbytes = rows.shape
    table = np.empty((count, 2), dtype="=u8")
    table[:, 0], table[:, 1] = np.arange(count, dtype="=u8") * nbytes, nbytes
    return zstandard.BufferWithSegments(rows.reshape(-1).data, table.tobytes())


def _blosc(config: Mapping[str, Any]) -> BytesCodec:
    shuffle = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}[config.get("shuffle", "noshuffle")]
    codec = numcodecs.Blosc(
        cname=config.get("cname", "zstd"),
        clevel=config.get("clevel", 5),
        shuffle=shuffle,
        blocksize=config.get("blocksize", 0),
        typesize=config.get("typesize", 1),
    )

    def checked_size(data: Any) -> int:
        """Return the decoded size in the header of a chunk that is whole."""
        # The library believes the encoded size in the header, and reads on in whatever follows a chunk cut short.
        size = int.from_bytes(data[12:16], "little")
        if not BLOSC_HEADER <= size <= len(data):
            raise SourceFormatError(f"{len(data)} bytes of a blosc chunk of {size}: cut short")
        return int.from_bytes(data[4:8], "little")

    def decode(data: Any, _nbytes: int) -> Buffer:
        checked_size(data)
        # Without the codec's own checks of its arguments, which take as long as a small chunk.
        decoded: bytes = numcodecs.blosc.decompress(data)
        return decoded

    def decode_into(data: Any, out: Any) -> bool:
        # Less would leave the rest of the memory as it was.
        if checked_size(data) != out.nbytes:
            return False
        codec.decode(data, out)
        return True

    def decode_many(parts: Sequence[Any], rows: NDArray[np.uint8]) -> bool:
        if any(checked_size(part) != rows.shape[1] for part in parts):
            return False
        try:
            decoded = b"".join(map(numcodecs.blosc.decompress, parts))
        except RuntimeError:
            return False
        rows[:] = np.frombuffer(decoded, dtype=np.uint8).reshape(rows.shape)
        return True

    return BytesCodec("blosc", codec.encode, decode, decode_into, decode_many=decode_many)


def _gzip(config: Mapping[str, Any]) -> BytesCodec:
    codec = numcodecs.GZip(level=config.get("level", 5))
    return BytesCodec("gzip", codec.encode, lambda data, _: codec.decode(data))


_CRC_OF_CHECKED = 0x48674BC7
"""CRC-32C of any bytes with their CRC-32C after them, low byte first: checks a chunk without taking it apart."""


def crc32c(data: Buffer, before: int = 0) -> int:
    """Return the CRC-32C of a buffer that follows bytes of the CRC-32C ``before``."""
    # The library takes bytes and arrays, but no memoryview.
    readable = data if isinstance(data, bytes) else np.frombuffer(data, dtype=np.uint8)
    return int(google_crc32c.extend(before, readable))


def _crc32c(_config: Mapping[str, Any]) -> BytesCodec:
    def encode(data: Any) -> Buffer:
        return b"".join((data, crc32c(data).to_bytes(4, "little")))

    return BytesCodec("crc32c", encode, checked_payload)


def checked_payload(data: Any, _nbytes: int = 0) -> memoryview:
    """Return the bytes before a trailing CRC-32C.

    Raises SourceFormatError when the checksum is not theirs.
    """
    view = memoryview(data)
    payload = view[:-4]
    if crc32c(data) != _CRC_OF_CHECKED:
        if len(view) < 4:
            raise SourceFormatError(f"{len(view)} bytes where a checksum alone has 4: cut short")
        expected, found = int.from_bytes(view[-4:], "little"), crc32c(payload)
        raise SourceFormatError(f"checksum {found:08x} instead of {expected:08x}: the stored bytes have changed")
    return payload


def _generic(config: Mapping[str, Any], *, name: str) -> BytesCodec:
    codec = numcodecs.get_codec({"id": name, **config})
    return BytesCodec(f"numcodecs.{name}", codec.encode, lambda data, _: codec.decode(data))


_MAKERS: dict[str, Callable[[Mapping[str, Any]], BytesCodec]] = {
    "zstd": _zstd,
    "blosc": _blosc,
    "gzip": _gzip,
    "crc32c": _crc32c,
    **{f"numcodecs.{name}": partial(_generic, name=name) for name in sorted(GENERIC)},
}


def knows(name: str) -> bool:
    """Tell whether the driver has a codec from bytes to bytes of this name."""
    return name in _MAKERS


def make(document: Mapping[str, Any]) -> BytesCodec:
    """Return the codec of a metadata document such as ``{"name": "zstd", "configuration": {"level": 3}}``."""
    return _MAKERS[document["name"]](document.get("configuration") or {})
