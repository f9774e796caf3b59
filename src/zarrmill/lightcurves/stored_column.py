"""Columns of tables: plain Zarr arrays in a few large chunks along their first axis, strings among them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numcodecs.vlen import VLenUTF8
from numpy.typing import NDArray

from zarrmill.codecs import bytes_codecs
from zarrmill.codecs.chain import CodecChain
from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.grid import Shape, ceil_div
from zarrmill.keyspace import Buffer, KeySpace
from zarrmill.layout import ArrayLayout
from zarrmill.lightcurves.schema import array_document, decode, encode
from zarrmill.metadata import codecs_from_request, fill_value_of, numpy_dtype_of

CODEC = "blosc:zstd:3:shuffle"
"""Codec of numbers in tables: columns of sorted keys, positions and times."""
TEXT_CODEC = "zstd:3"
"""Codec of text in tables."""
TEXT_BYTES = 32
"""Estimated bytes of one text."""
KINDS = "biufUT"
"""Kinds of numpy types that a column may have."""
_VLEN = VLenUTF8()


def as_column(values: Any, *, name: str) -> NDArray[Any]:
    """Return values as a column: numbers in the machine's byte order, or text. Raises InvalidInputError.

    >>> as_column(["a", "bc"], name="key").dtype.kind
    'U'
    """
    if np.ma.isMaskedArray(values):
        values = _filled(values, name=name)
    column = np.asarray(values)
    if column.dtype.kind in "OS":
        column = np.array([v.decode() if isinstance(v, bytes) else v for v in column.tolist()])
    if column.dtype.kind == "T":
        column = column.astype("U")
    if column.ndim != 1 or column.dtype.kind not in KINDS:
        raise InvalidInputError(
            f"column {name!r} has {column.ndim} axes of {column.dtype}. Give one axis of numbers or text."
        )
    return column.astype(column.dtype.newbyteorder("="), copy=False)


def _filled(values: Any, *, name: str) -> NDArray[Any]:
    if not np.ma.is_masked(values):
        return np.asarray(np.ma.getdata(values))
    if values.dtype.kind not in "fU":
        raise InvalidInputError(f"column {name!r} has masked values of {values.dtype}. Fill them, or make it float.")
    filled: NDArray[Any] = values.filled(np.nan if values.dtype.kind == "f" else "")
    return filled


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column as it is stored; the length of its metadata may be more than what readers are told to read."""

    keys: KeySpace
    """The store."""
    path: str
    """Path of the array."""
    document: Mapping[str, Any]
    """Its metadata."""

    @property
    def shape(self) -> Shape:
        """Length per axis."""
        return tuple(self.document["shape"])

    @property
    def chunk(self) -> Shape:
        """Shape of a chunk."""
        return tuple(self.document["chunk_grid"]["configuration"]["chunk_shape"])

    @property
    def is_text(self) -> bool:
        """Whether the values are text."""
        return bool(self.document["data_type"] == "string")

    def key(self, number: int) -> str:
        """Return the key of a chunk."""
        return f"{self.path}/c.{number}" + ".0" * (len(self.shape) - 1)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from ``start`` to ``stop``. Raises SourceFormatError for a chunk that is lost or damaged."""
        rows = self.chunk[0]
        parts = [self.read_chunk(number) for number in range(start // rows, ceil_div(max(stop, start), rows))]
        whole = np.concatenate(parts) if parts else np.empty((0, *self.shape[1:]), self._dtype)
        first = start // rows * rows
        return whole[start - first : stop - first]

    def read_chunk(self, number: int) -> NDArray[Any]:
        """Return a whole chunk, the rows beyond the end of the array included."""
        key = self.key(number)
        data = self.keys.get(key)
        if data is None:
            raise SourceFormatError(f"{self.keys.location}/{key} is lost. Restore it from a copy.")
        try:
            return self._decode_text(data) if self.is_text else self._chain().decode(data)
        except SourceFormatError as error:
            raise SourceFormatError(f"{self.keys.location}/{key}: {error}. Restore it from a copy.") from error

    def write(self, start: int, values: NDArray[Any]) -> None:
        """Write rows that follow ``start`` rows which are there; a chunk that they end in is replaced whole."""
        rows, first = self.chunk[0], start // self.chunk[0] * self.chunk[0]
        if first < start:
            values = np.concatenate([self.read(first, start), values])
        for number, part in _cut(values, rows):
            self.keys.put(self.key(first // rows + number), self._encode(part))

    def _encode(self, values: NDArray[Any]) -> Buffer:
        whole = np.full(self.chunk, "" if self.is_text else fill_value_of(dict(self.document)), dtype=self._dtype)
        whole[: len(values)] = values
        if not self.is_text:
            return self._chain().encode(whole)
        data: Any = _VLEN.encode(whole)
        for codec in self.document["codecs"][1:]:
            data = bytes_codecs.make(codec).encode(data)
        return data  # type: ignore[no-any-return]

    def _decode_text(self, data: Any) -> NDArray[Any]:
        for codec in reversed(self.document["codecs"][1:]):
            data = bytes_codecs.make(codec).decode(data, 0)
        found: NDArray[Any] = _VLEN.decode(data)
        if len(found) != self.chunk[0]:
            raise SourceFormatError(f"{len(found)} texts where a chunk has {self.chunk[0]}")
        return found

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(object) if self.is_text else numpy_dtype_of(dict(self.document))

    def _chain(self) -> CodecChain:
        codecs = [json.dumps(codec) for codec in self.document["codecs"]]
        return CodecChain(codecs, dtype=self._dtype, chunk=self.chunk)


def open_column(keys: KeySpace, path: str) -> StoredColumn | None:
    """Return a stored column, None where there is none."""
    data = keys.get(f"{path}/zarr.json")
    return None if data is None else StoredColumn(keys, path, decode(data, where=f"{keys.location}/{path}/zarr.json"))


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """How a new column is laid out."""

    rows: int
    """Rows in one chunk."""
    dims: tuple[str, ...]
    """Names of its axes."""
    attributes: Mapping[str, Any]
    """What describes it."""
    fill: Any = None
    """Value of rows that are not written; None for NaN, 0, False or ""."""


def create_column(
    keys: KeySpace, path: str, values: NDArray[Any], *, plan: ColumnPlan, length: int | None = None
) -> StoredColumn:
    """Write a new column, of ``length`` rows where more are to come: chunks first, then its metadata."""
    text = values.dtype.kind == "U"
    values = values.astype(object) if text else values
    dtype = "string" if text else values.dtype.name
    shape = (len(values) if length is None else length, *values.shape[1:])
    chunk = (plan.rows, *values.shape[1:])
    bare = ArrayLayout(shape, dtype, TEXT_BYTES if text else values.dtype.itemsize, chunk, dims=plan.dims)
    codecs = codecs_from_request([TEXT_CODEC if text else CODEC, "crc32c"], bare) or []
    layout = ArrayLayout(shape, dtype, bare.itemsize, chunk, None, plan.dims, tuple(map(json.dumps, codecs)))
    fill = _default_fill(values.dtype) if plan.fill is None else plan.fill
    column = StoredColumn(keys, path, array_document(layout, fill=fill, attributes=plan.attributes))
    if shape[0] > len(values):
        values = np.concatenate([values, np.full((shape[0] - len(values), *shape[1:]), fill, dtype=values.dtype)])
    column.write(0, values)
    put_document(column)
    return column


def put_document(column: StoredColumn) -> None:
    """Write the metadata of a column."""
    column.keys.put(f"{column.path}/zarr.json", encode(column.document))


def resized(column: StoredColumn, length: int) -> StoredColumn:
    """Return a column with another number of rows; nothing is written."""
    shape = [length, *column.shape[1:]]
    return StoredColumn(column.keys, column.path, {**column.document, "shape": shape})


def _default_fill(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "O":
        return ""
    return float("nan") if dtype.kind == "f" else dtype.type(0).item()


def _cut(values: NDArray[Any], rows: int) -> Iterator[tuple[int, NDArray[Any]]]:
    for number in range(ceil_div(len(values), rows)):
        yield number, values[number * rows : (number + 1) * rows]
