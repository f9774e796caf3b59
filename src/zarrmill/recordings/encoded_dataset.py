"""An xarray Dataset or DataTree as the keys of one Zarr v3 store: every chunk and document as bytes, before any is put.

Each array is one chunk unless its encoding asks for others or it is very large, and none where all of its values are
the fill value, which readers get back without it. Times become whole numbers with units in the words of CF, texts the
type ``string``; values that no reader would get back are refused.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numcodecs.vlen import VLenUTF8
from numpy.typing import NDArray

from zarrmill.codecs import bytes_codecs
from zarrmill.codecs.bytes_codecs import BytesCodec
from zarrmill.codecs.chain import CodecChain
from zarrmill.documents import encode_documents
from zarrmill.errors import InvalidInputError
from zarrmill.grid import Shape, ceil_div
from zarrmill.keyspace import Buffer
from zarrmill.layout import ArrayLayout
from zarrmill.metadata import codecs_from_request
from zarrmill.publish import METADATA

Json = dict[str, Any]
Clean = Callable[[str], str]

CODEC, BYTE_CODEC, TEXT_CODEC = "blosc:zstd:3:shuffle", "zstd:3", "zstd:3"
"""Codecs of numbers, of those of one byte, and of text; a checksum comes last."""
CHUNK_BYTES = 256 * 2**20
"""Decoded bytes above which an array is more than one chunk: beyond this one request is no faster than several."""
_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
"""Units of times in the words of CF."""
_NAT = int(np.iinfo(np.int64).min)
_VLEN = VLenUTF8()
_TEXT_ITEMSIZE = np.dtype(object).itemsize

Scheme = Literal[".", "/"]
"""How chunks are named. Two stores of one place, each of another scheme, share no chunk key."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedArray:
    """One array."""

    path: str
    """Path in the store."""
    document: Json
    """Its metadata, but for how its chunks are named."""
    chunks: tuple[tuple[Shape, Buffer], ...]
    """Position in the grid of chunks and bytes of each that has other values than the fill value."""
    absent: tuple[Shape, ...] = ()
    """Positions of the other chunks, where nothing must be stored."""

    def laid_out(self, scheme: Scheme) -> Json:
        """Return the metadata with the naming of a scheme."""
        # The one chunk of a scalar has the same name with either separator: the older encoding names it otherwise.
        name = "v2" if scheme == "/" and not self.document["shape"] else "default"
        encoding = {"name": name, "configuration": {"separator": scheme if name == "default" else "."}}
        return {**self.document, "chunk_key_encoding": encoding}

    def key(self, position: Shape, scheme: Scheme) -> str:
        """Return the key of a chunk."""
        if not position:
            return f"{self.path}/{'c' if scheme == '.' else '0'}"
        return f"{self.path}/" + scheme.join(["c", *map(str, position)])


@dataclass(frozen=True, slots=True, eq=False)
class EncodedDataset:
    """A whole store in memory."""

    groups: dict[str, Json]
    """Document of each group by path, the root's under "" and without consolidated metadata."""
    arrays: tuple[EncodedArray, ...]
    """The arrays."""

    def documents(self, scheme: Scheme) -> dict[str, bytes]:
        """Return every ``zarr.json`` by path; the root's holds a copy of all."""
        found: dict[str, Json] = {**self.groups, **{array.path: array.laid_out(scheme) for array in self.arrays}}
        return encode_documents(found)

    def chunks(self, scheme: Scheme) -> dict[str, Buffer]:
        """Return the bytes of every chunk by key."""
        return {array.key(at, scheme): data for array in self.arrays for at, data in array.chunks}

    def absent(self, scheme: Scheme) -> set[str]:
        """Return the keys that must not be there, for readers would take their values for those of this store."""
        return {array.key(at, scheme) for array in self.arrays for at in array.absent}

    @property
    def nbytes(self) -> int:
        """Bytes of all chunks."""
        return sum(memoryview(data).nbytes for array in self.arrays for _, data in array.chunks)

    def digest(self) -> str:
        """Return what tells this content from any other; attributes of groups, such as a time, do not count."""
        total = hashlib.sha256()
        for array in self.arrays:
            total.update(json.dumps([array.path, array.document, array.absent], sort_keys=True).encode())
            for _, data in array.chunks:
                total.update(hashlib.sha256(data).digest())
        return total.hexdigest()


def encode_dataset(dataset: Any, *, clean: Clean | None = None) -> EncodedDataset:
    """Return an xarray Dataset, or a DataTree with a group for each of its nodes, as the bytes of a store.

    ``clean`` is applied to every text: values, attributes and their names. Raises InvalidInputError for types that
    Zarr v3 has not, for missing texts, and for names with a slash.
    """
    groups: dict[str, Json] = {}
    arrays: list[EncodedArray] = []
    for path, node in _nodes(dataset):
        attributes, extra = _coordinate_attributes(node)
        groups[path] = _group_document(_json_attributes({**node.attrs, **attributes}, path or "the dataset", clean))
        for name, variable in node.variables.items():
            where = f"{path}/{_checked_name(name)}".lstrip("/")
            arrays.append(_encode_variable(variable, where, extra.get(name, {}), clean))
    return EncodedDataset(groups, tuple(arrays))


def _nodes(dataset: Any) -> Iterator[tuple[str, Any]]:
    """Yield path and Dataset of every group, parents first."""
    # Asking a Dataset for what it has not makes it look for names that are alike.
    if not hasattr(type(dataset), "subtree"):
        yield "", dataset
        return
    for node in dataset.subtree:
        # Coordinates that a group inherits lie in its parent.
        yield node.path[len(dataset.path) :].strip("/"), node.to_dataset(inherit=False)


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not name or "/" in name or name == METADATA:
        raise InvalidInputError(f"{name!r} cannot be the name of a variable. Use text without a slash.")
    return name


def _coordinate_attributes(dataset: Any) -> tuple[Json, dict[Any, Json]]:
    """Return what tells readers which variables are coordinates: of the dataset, and by name of the variable."""
    dims = {name: set(variable.dims) for name, variable in dataset.variables.items()}
    others = [name for name in dataset.coords if name not in dataset.sizes]
    found: dict[Any, Json] = {}
    told: set[Any] = set()
    for name in dataset.data_vars:
        mine = [other for other in others if dims[other] <= dims[name]]
        if mine:
            found[name] = {"coordinates": " ".join(map(str, mine))}
            told.update(mine)
    rest = [str(name) for name in others if name not in told]
    return ({"coordinates": " ".join(rest)} if rest else {}), found


def _group_document(attributes: Json) -> Json:
    return {"attributes": attributes, "zarr_format": 3, "node_type": "group"}


def _encode_variable(variable: Any, path: str, extra: Json, clean: Clean | None) -> EncodedArray:
    fill = variable.encoding.get("_FillValue", variable.attrs.get("_FillValue"))
    values, said, fill = _storable(np.asarray(variable.values), path, fill, clean)
    attributes = {name: value for name, value in variable.attrs.items() if name != "_FillValue"}
    attributes = _json_attributes({**attributes, **extra, **said}, path, clean)
    if fill is not None:
        attributes["_FillValue"] = _mask(fill, values.dtype)
    chunk = _chunk_shape(values, variable.encoding.get("chunks"), path)
    dtype = "string" if values.dtype.kind == "O" else values.dtype.name
    document: Json = {
        "shape": list(values.shape),
        "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "fill_value": _zarr_fill(fill, values.dtype),
        "codecs": list(_codecs_of(dtype, values.dtype.itemsize)),
        "attributes": attributes,
        "dimension_names": [str(dim) for dim in variable.dims],
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    encoded = list(_encode_chunks(values, chunk, document, path))
    stored = tuple((at, data) for at, data in encoded if data is not None)
    return EncodedArray(path, document, stored, tuple(at for at, data in encoded if data is None))


def _storable(values: NDArray[Any], path: str, fill: Any, clean: Clean | None) -> tuple[NDArray[Any], Json, Any]:
    """Return values as they are stored, the attributes that tell what they are, and the value that means missing."""
    kind = values.dtype.kind
    if kind in "OUT":
        return _as_texts(values, path, clean), {}, None if fill is None else str(fill)
    if kind in "mM":
        return _as_numbers(values, path)
    if kind not in "biufc" or values.dtype.itemsize > 16 or (kind == "f" and values.dtype.itemsize > 8):
        raise InvalidInputError(f"variable {path!r}: values of {values.dtype} cannot be stored. Give numbers or text.")
    return values.astype(values.dtype.newbyteorder("="), copy=False), {}, fill


def _as_texts(values: NDArray[Any], path: str, clean: Clean | None) -> NDArray[Any]:
    """Return text as an array of Python objects. Raises InvalidInputError where something else is among it."""
    if clean is None and values.dtype.kind == "T" and not hasattr(values.dtype, "na_object"):
        return values.astype(object)
    flat = values.ravel().tolist()
    for row, value in enumerate(flat):
        if not isinstance(value, str):
            raise InvalidInputError(
                f"variable {path!r}, value {row}: {type(value).__name__} where text belongs. Zarr has no missing text: "
                f"give '' and a second variable that tells which are valid."
            )
    made = np.empty(len(flat), dtype=object)
    made[:] = [clean(value) for value in flat] if clean is not None else flat
    return made.reshape(values.shape)


def _as_numbers(values: NDArray[Any], path: str) -> tuple[NDArray[Any], Json, Any]:
    """Return times or durations as whole numbers of their own unit, so that none of them is rounded."""
    unit, count = np.datetime_data(values.dtype)
    if unit not in _UNITS or count != 1:
        values, unit = values.astype(f"{values.dtype.kind}8[s]"), "s"
    numbers = values.astype(values.dtype.newbyteorder("=")).view(np.int64)
    fill = _NAT if np.isnat(values).any() else None
    if values.dtype.kind == "m":
        return numbers, {"units": _UNITS[unit], "dtype": f"timedelta64[{unit}]"}, fill
    said = {"units": f"{_UNITS[unit]} since 1970-01-01", "calendar": "proleptic_gregorian"}
    return numbers, said, fill


def _chunk_shape(values: NDArray[Any], asked: Any, path: str) -> Shape:
    shape = tuple(max(1, length) for length in values.shape)
    if asked is not None:
        chunk = tuple(int(length) for length in asked)
        if len(chunk) != len(shape) or any(length < 1 for length in chunk):
            raise InvalidInputError(f"variable {path!r}: chunks {chunk} do not divide shape {values.shape}.")
        return tuple(min(c, s) for c, s in zip(chunk, shape, strict=True))
    if not shape or values.nbytes <= CHUNK_BYTES or values.dtype.kind == "O":
        return shape
    row = math.prod(shape[1:]) * values.dtype.itemsize
    return (max(1, CHUNK_BYTES // row), *shape[1:])


@functools.cache
def _codecs_of(dtype: str, itemsize: int) -> tuple[Json, ...]:
    """Return the documents of the codecs of a type; they are the same in all of its arrays, and nobody changes them."""
    codec = TEXT_CODEC if dtype == "string" else CODEC if itemsize > 1 else BYTE_CODEC
    bare = ArrayLayout((1,), dtype, itemsize, (1,))
    return tuple(codecs_from_request([codec, "crc32c"], bare) or ())


def _encode_chunks(
    values: NDArray[Any], chunk: Shape, document: Json, path: str
) -> Iterator[tuple[Shape, Buffer | None]]:
    """Yield position and bytes of every chunk, None for one that holds the fill value alone."""
    if not values.size:
        return
    text = values.dtype.kind == "O"
    encode = partial(_encode_texts, path=path) if text else _number_encoder(values.dtype, chunk)
    fill = _fill_of(document["fill_value"], values.dtype)
    for at in itertools.product(*(range(ceil_div(s, c)) for s, c in zip(values.shape, chunk, strict=True))):
        region: Any = tuple(slice(i * c, (i + 1) * c) for i, c in zip(at, chunk, strict=True))
        part = values[(*region, ...)]
        yield at, None if _is_filled(part, fill) else encode(_whole(part, chunk))


def _fill_of(fill: Any, dtype: np.dtype[Any]) -> Any:
    """Return the fill value of a document as readers get it: a text, or an array of one number."""
    if dtype.kind == "O":
        return fill
    if dtype.kind == "c":
        return np.array([complex(float(fill[0]), float(fill[1]))], dtype)
    return np.array([float(fill) if dtype.kind == "f" else fill], dtype)


def _is_filled(values: NDArray[Any], fill: Any) -> bool:
    """Tell whether all values are the fill value, bit by bit: -0.0 is not 0.0, nor one NaN another."""
    if values.dtype.kind == "O":
        return all(value == fill for value in values.ravel().tolist())
    word = f"u{min(fill.itemsize, 8)}"
    found, wanted = np.ascontiguousarray(values).view(word).reshape(-1, fill.view(word).size), fill.view(word)
    return bool((found[0] == wanted).all() and (found == wanted).all())


def _whole(part: NDArray[Any], chunk: Shape) -> NDArray[Any]:
    """Return the part of a chunk within the array as a whole one."""
    if part.shape == chunk:
        return np.ascontiguousarray(part).reshape(chunk)
    whole = np.full(chunk, "" if part.dtype.kind == "O" else 0, dtype=part.dtype)
    whole[tuple(map(slice, part.shape))] = part
    return whole


# Making a codec takes longer than encoding a column of a usual session.
@functools.lru_cache(maxsize=64)
def _number_encoder(dtype: np.dtype[Any], chunk: Shape) -> Callable[[NDArray[Any]], Buffer]:
    codecs = [json.dumps(codec) for codec in _codecs_of(dtype.name, dtype.itemsize)]
    return CodecChain(codecs, dtype=dtype, chunk=chunk).encode


@functools.cache
def _text_codecs() -> tuple[BytesCodec, ...]:
    return tuple(bytes_codecs.make(codec) for codec in _codecs_of("string", _TEXT_ITEMSIZE)[1:])


def _encode_texts(values: NDArray[Any], *, path: str) -> Buffer:
    try:
        data: Any = _VLEN.encode(values.ravel())
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"variable {path!r}: text that is not Unicode ({error.reason}). Escape it.") from None
    for codec in _text_codecs():
        data = codec.encode(data)
    return data  # type: ignore[no-any-return]


def _mask(fill: Any, dtype: np.dtype[Any]) -> Any:
    """Return a ``_FillValue`` as xarray reads it from the attributes of a Zarr v3 array."""
    if dtype.kind == "f":
        return base64.standard_b64encode(struct.pack("<d", float(fill))).decode()
    if dtype.kind == "c":
        number = complex(fill)
        return [_mask(part, np.dtype("f8")) for part in (number.real, number.imag)]
    return str(fill) if dtype.kind == "O" else bool(fill) if dtype.kind == "b" else int(fill)


def _zarr_fill(fill: Any, dtype: np.dtype[Any]) -> Any:
    """Return the value of missing chunks as Zarr v3 metadata hold it; the one that means missing where there is one."""
    if dtype.kind == "O":
        return fill or ""
    if dtype.kind == "c":
        return ["NaN", "NaN"]
    if dtype.kind == "f":
        return "NaN" if fill is None or fill != fill else _finite(float(fill))
    return bool(fill) if dtype.kind == "b" else int(fill or 0)


def _finite(value: float) -> float | str:
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _json_attributes(attributes: Mapping[Any, Any], where: str, clean: Clean | None) -> Json:
    """Return attributes as JSON values. Raises InvalidInputError for what JSON cannot hold."""
    found = {str(name): _json_value(value) for name, value in attributes.items()}
    try:
        text = json.dumps(found)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{where}: attributes that JSON cannot hold ({error}).") from None
    made: Json = _clean_json(json.loads(text), clean) if clean is not None else found
    return made


def _json_value(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _json_value(item) for name, item in value.items()}
    return [_json_value(item) for item in value] if isinstance(value, list | tuple) else value


def _clean_json(value: Any, clean: Clean) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): _clean_json(item, clean) for name, item in value.items()}
    return [_clean_json(item, clean) for item in value] if isinstance(value, list) else value
