"""The codecs of one array as one encoder and one decoder of whole chunks."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs import bytes_codecs
from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.errors import SourceFormatError
from zarrmill.grid import Shape

NATIVE_KINDS = "biufcmMSU"
"""Kinds of numpy types whose values the driver moves: all of fixed size but records."""


def driver_lacks(codecs: Sequence[str], dtype: np.dtype[Any]) -> str | None:
    """Return what keeps the driver from handling these codecs (each as JSON), or None when it can.

    >>> driver_lacks(['{"name":"bytes","configuration":{"endian":"little"}}', '{"name":"zstd"}'], np.dtype("f4"))
    >>> driver_lacks(['{"name":"vlen-utf8"}'], np.dtype("O"))
    'values of type object'
    """
    if dtype.kind not in NATIVE_KINDS:
        return f"values of type {dtype.name}"
    names = [json.loads(codec)["name"] for codec in codecs]
    rest = names[1:] if names[:1] == ["transpose"] else names
    if rest[:1] != ["bytes"]:
        return f"codec {rest[0] if rest else 'none'}"
    unknown = [name for name in rest[1:] if not bytes_codecs.knows(name)]
    return f"codec {unknown[0]}" if unknown else None


class CodecChain:
    """Encodes and decodes the chunks of one array; any number of threads may use it at once."""

    def __init__(self, codecs: Sequence[str], *, dtype: np.dtype[Any], chunk: Shape) -> None:
        documents = [json.loads(codec) for codec in codecs]
        self.dtype = dtype.newbyteorder("=")
        self.chunk = chunk
        self.nbytes = math.prod(chunk) * dtype.itemsize
        self._order = _transpose_order(documents, len(chunk))
        self._stored_dtype = _stored_dtype(documents, self.dtype)
        self._codecs = [bytes_codecs.make(d) for d in documents if d["name"] not in ("transpose", "bytes")]
        self._plain = self._order is None and self._stored_dtype == self.dtype
        first = self._codecs[0] if self._codecs else None
        large = self.nbytes >= bytes_codecs.ZSTD_OWN_CONTEXT_BELOW
        self._into = first.decode_into if first and self._plain and large else None
        # What is decoded together comes in memory of the library's own, which a large chunk would rather not.
        self._many = first.decode_many if first and self._plain and not self._into else None

    def decode(self, encoded: Buffer, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return a whole chunk, in ``out`` where that is given and the codecs can write there.

        The result may be a view of ``encoded``. Raises SourceFormatError when the bytes are not a chunk.
        """
        data: Any = encoded
        try:
            for codec in reversed(self._codecs[1:]):
                data = codec.decode(data, 0)
            if self._into is not None and out is not None and self._into(data, out):
                return out
            if self._codecs:
                data = self._codecs[0].decode(data, self.nbytes)
        except SourceFormatError:
            raise
        except Exception as error:  # every codec library raises errors of its own kind
            raise SourceFormatError(f"{self._codecs[0].name}: {error}") from error
        return self._values(data)

    def decode_many(self, encoded: Sequence[Buffer], out: NDArray[Any]) -> None:
        """Decode small chunks into the first axis of ``out``; raises SourceFormatError as ``decode`` does."""
        if self._many is not None and len(encoded) > 1:
            parts: list[Any] = list(encoded)
            for codec in reversed(self._codecs[1:]):
                parts = [codec.decode(part, 0) for part in parts]
            if self._many(parts, out.view(np.uint8).reshape(len(parts), -1)):
                return
        for data, chunk in zip(encoded, out, strict=True):
            values = self.decode(data, chunk)
            if values is not chunk:
                chunk[...] = values

    def _values(self, data: Any) -> NDArray[Any]:
        raw = np.frombuffer(data, dtype=np.uint8)
        if raw.nbytes != self.nbytes:
            raise SourceFormatError(f"{raw.nbytes} bytes after decoding where a chunk has {self.nbytes}")
        values: NDArray[Any] = raw.view(self._stored_dtype)
        if self._order is None:
            values = values.reshape(self.chunk)
        else:
            stored = values.reshape([self.chunk[a] for a in self._order])
            values = stored.transpose(np.argsort(self._order))
        return values if self._stored_dtype == self.dtype else values.astype(self.dtype)

    def encode(self, values: NDArray[Any]) -> Buffer:
        """Return the encoded bytes of a whole chunk in C order."""
        # A view of plain bytes, because buffers of datetimes and of some other types cannot be passed on.
        return self.encode_bytes(np.ascontiguousarray(values, dtype=self.dtype).reshape(-1).view(np.uint8))

    def encode_bytes(self, raw: NDArray[np.uint8]) -> Buffer:
        """Return the encoded bytes of a whole chunk given as the bytes of its values in C order."""
        if not self._plain:
            values = raw.view(self.dtype).reshape(self.chunk)
            moved = values if self._order is None else values.transpose(self._order)
            raw = np.ascontiguousarray(moved, dtype=self._stored_dtype).reshape(-1).view(np.uint8)
        data: Any = raw.data
        for codec in self._codecs:
            data = codec.encode(data)
        return data if self._codecs else bytes(data)

    def encode_many(self, rows: NDArray[np.uint8]) -> list[Buffer]:
        """Return the encoded bytes of chunks given as the rows of a contiguous matrix, each in C order."""
        first = self._codecs[0] if self._codecs else None
        if first is None or first.encode_many is None or not self._plain:
            return [self.encode_bytes(row) for row in rows]
        parts = first.encode_many(rows)
        for codec in self._codecs[1:]:
            parts = [codec.encode(part) for part in parts]
        return parts


def _transpose_order(documents: list[dict[str, Any]], ndim: int) -> tuple[int, ...] | None:
    if documents[0]["name"] != "transpose":
        return None
    order = tuple(documents[0]["configuration"]["order"])
    return None if order == tuple(range(ndim)) else order


def _stored_dtype(documents: list[dict[str, Any]], dtype: np.dtype[Any]) -> np.dtype[Any]:
    bytes_codec = next(d for d in documents if d["name"] == "bytes")
    endian = (bytes_codec.get("configuration") or {}).get("endian", "little")
    return dtype.newbyteorder(">" if endian == "big" else "<")
