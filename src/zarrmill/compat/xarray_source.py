"""xarray datasets as lazy arrays, encoded as xarray's own Zarr backend would write them.

The only file that imports xarray, and only when a dataset is given.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrmill.compat.array_store import ArrayStore, LazyArray, chunks_of, computing, is_dask, plain_chunks
from zarrmill.compat.zarr_options import KNOWN
from zarrmill.errors import InvalidInputError

if TYPE_CHECKING:
    import xarray

Json = dict[str, Any]

ENCODING = {
    "dtype", "scale_factor", "add_offset", "units", "calendar", "_FillValue", "missing_value", "fill_value",
    "_Unsigned", "coordinates", "grid_mapping", "char_dim_name", "_Encoding", "least_significant_digit",
}  # fmt: skip
"""Target options of a variable that say how its values are encoded."""
_CODECS = ("compressor", "compressors", "filters")
"""Settings of a variable's encoding that name codecs; the layout that it had somewhere else does not count."""
_STORAGE = {
    *KNOWN, "compressors", "serializer", "chunks", "chunksizes", "preferred_chunks", "shards", "chunk_key_encoding",
    "source", "original_shape", "contiguous", "zlib", "complevel", "shuffle", "fletcher32", "szip", "zstd",
    "bzip2", "blosc",
}  # fmt: skip
"""Settings of a variable's encoding that are about its storage, in Zarr or netCDF, and not about its values."""


@dataclass(frozen=True, slots=True)
class DatasetSource:
    """A dataset as the engine reads it."""

    store: ArrayStore
    """Its encoded variables."""
    arrays: dict[str, LazyArray]
    """The same by name."""
    options: dict[str, Json]
    """Codecs that the variables' encodings name, as target options."""
    lazy: frozenset[str]
    """Variables that are computed from chunks of their own."""


def is_dataset(source: Any) -> bool:
    """Tell whether something is an xarray Dataset; without xarray there is none."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(source, xarray.Dataset)


def open_dataset(dataset: xarray.Dataset, options: Mapping[str, Mapping[str, Any]]) -> DatasetSource:
    """Return a dataset as a store; ``options`` by variable may change its encoding (dtype, scale_factor, units …).

    Variables that lie in files become dask arrays of their files' chunks, so that no more than that is in memory.
    Raises InvalidInputError for what cannot be stored.
    """
    from xarray.conventions import encode_dataset_coordinates

    variables, attributes = encode_dataset_coordinates(dataset)
    arrays: dict[str, LazyArray] = {}
    kept: dict[str, Json] = {}
    lazy, marks = set(), []
    for name, variable in variables.items():
        key = str(name)
        encoding = {**variable.encoding, **options.get(key, {})}
        kept[key] = {
            "compressor" if option == "compressors" else option: variable.encoding[option]
            for option in _CODECS
            if variable.encoding.get(option) is not None
        }
        encoded, data = _encode(variable, key, {k: v for k, v in encoding.items() if k not in _STORAGE})
        arrays[key] = _lazy_array(encoded, data, key)
        marks.append((key, _identity(data)))
        if is_dask(data):
            lazy.add(key)
    token = hashlib.blake2b(json.dumps(marks).encode(), digest_size=8).hexdigest()
    store = ArrayStore(arrays, name=f"xarray dataset {token}", attributes=_attributes(attributes, "the dataset"))
    return DatasetSource(store, arrays, kept, frozenset(lazy))


def _encode(variable: xarray.Variable, name: str, encoding: Json) -> tuple[xarray.Variable, Any]:
    """Return a variable as it is stored, and its data: a dask array, or one of numpy."""
    from xarray.backends.zarr import encode_zarr_variable

    variable = _in_chunks(variable, name).copy(deep=False)
    variable.encoding = encoding
    # Since xarray 2025.9 strings of variable length may stay what they are, which is a matter of the format.
    keywords: Json = {"zarr_format": 3} if "zarr_format" in inspect.signature(encode_zarr_variable).parameters else {}
    try:
        encoded = encode_zarr_variable(variable, name=name, **keywords)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"variable {name!r} cannot be encoded: {error}") from error
    return encoded, encoded.data if is_dask(encoded.data) else np.asarray(encoded.values)


def _in_chunks(variable: xarray.Variable, name: str) -> xarray.Variable:
    """Return a variable that still lies in a file as a dask array of the file's chunks."""
    if variable.chunks is not None or getattr(variable, "_in_memory", True):
        return variable
    preferred = variable.encoding.get("preferred_chunks")
    chunks = preferred or dict(zip(variable.dims, plain_chunks(variable.shape, variable.dtype), strict=True))
    try:
        return variable.chunk(chunks)
    except ImportError as error:
        raise InvalidInputError(
            f"variable {name!r} is read from its file piece by piece, which takes dask. Install it, or load the dataset."
        ) from error


def _lazy_array(encoded: xarray.Variable, data: Any, name: str) -> LazyArray:
    attributes = dict(encoded.attrs)
    fill_value = encoded.encoding.get("fill_value")
    if fill_value is None and data.dtype.kind == "f":
        fill_value = np.nan  # what xarray takes, where Zarr's own default is 0
    mask = attributes.pop("_FillValue", None)
    if mask is not None:
        attributes["_FillValue"] = _mask(mask, data.dtype, name)
    return LazyArray(
        shape=tuple(map(int, encoded.shape)),
        dtype=data.dtype,
        chunks=chunks_of(data),
        compute=computing(data),
        dims=tuple(map(str, encoded.dims)),
        attributes=_attributes(attributes, f"variable {name!r}"),
        fill_value=_json_scalar(fill_value, data.dtype),
    )


def _mask(value: Any, dtype: np.dtype[Any], name: str) -> Any:
    """Return a ``_FillValue`` as xarray writes it into the attributes of a Zarr v3 array."""
    from xarray.backends.zarr import FillValueCoder

    try:
        return FillValueCoder.encode(value, dtype)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"variable {name!r}: _FillValue {value!r} of {dtype} cannot be stored: {error}"
        ) from error


def _json_scalar(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a fill value as Zarr v2 metadata hold it.

    >>> _json_scalar(np.float32(0.5), np.dtype("f4")), _json_scalar(np.datetime64(3, "s"), np.dtype("M8[s]"))
    (0.5, 3)
    """
    if value is None or dtype.kind == "V":
        return None
    if dtype.kind in "mM":
        return int(np.asarray(value).astype(dtype).view("i8"))
    if dtype.kind == "c":
        return [complex(value).real, complex(value).imag]
    if dtype.kind == "S":
        return base64.b64encode(bytes(value)).decode()
    return str(value) if dtype.kind in "UOT" else np.asarray(value).item()


def _attributes(attributes: Mapping[Any, Any], where: str) -> Json:
    """Return attributes as JSON values."""
    from xarray.backends.zarr import encode_zarr_attr_value

    encode: Callable[[Any], Any] = encode_zarr_attr_value
    encoded = {str(key): encode(value) for key, value in attributes.items()}
    for key, value in encoded.items():
        try:
            json.dumps(value)
        except TypeError as error:
            raise InvalidInputError(f"{where}: attribute {key!r} is {value!r}, which JSON cannot hold.") from error
    return encoded


def _identity(data: Any) -> str:
    """Return what tells values from others: dask's name of them, or a hash."""
    if is_dask(data):
        return str(data.name)
    raw = repr(data.tolist()).encode() if data.dtype.kind in "OT" else np.ascontiguousarray(data).view(np.uint8).data
    return hashlib.blake2b(raw, digest_size=8).hexdigest()
