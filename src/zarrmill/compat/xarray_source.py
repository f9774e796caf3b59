"""xarray datasets as lazy arrays, encoded as xarray's own Zarr backend would write them.

The only file that imports xarray, and only when a dataset is given.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zarrmill.compat.array_store import ArrayStore, LazyArray, lazy_array, plain_chunks
from zarrmill.compat.dask_blocks import is_dask_array, longest_chunks
from zarrmill.compat.zarr_options import KNOWN
from zarrmill.errors import InvalidInputError
from zarrmill.grid import Shape

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

    location: str | ArrayStore
    """The store that it was opened from, where it is still the same, else its encoded variables."""
    chunks: dict[str, Shape]
    """Chunks of the variables that dask holds."""
    options: dict[str, Json]
    """Codecs that the variables' encodings name, as target options; none for a store, which has them itself."""


def is_dataset(source: Any) -> bool:
    """Tell whether something is an xarray Dataset; without xarray there is none."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(source, xarray.Dataset)


def open_dataset(dataset: xarray.Dataset, options: Mapping[str, Mapping[str, Any]]) -> DatasetSource:
    """Return what to read for a dataset; ``options`` by variable may change its encoding (dtype, scale_factor …).

    A dataset that is what ``xarray.open_zarr`` gave is read from its store. For any other, variables that lie in files
    become dask arrays of their files' chunks, so that no more than that is in memory. Raises InvalidInputError for
    what cannot be stored.
    """
    chunks = {str(name): longest_chunks(v.data) for name, v in dataset.variables.items() if v.chunks is not None}
    if not any(ENCODING & set(own) for own in options.values()):
        location = find_store(dataset)
        if location is not None:
            return DatasetSource(location, chunks, {})
    return _encoded_source(dataset, options, chunks)


def find_store(dataset: xarray.Dataset) -> str | None:
    """Return the local Zarr store that a dataset was opened from and has everything from, None where there is none.

    dask names its arrays by the file that they are read from and all that is done to it, so that equal names are equal
    values.
    """
    import xarray

    path = dataset.encoding.get("source")
    if not isinstance(path, str) or not os.path.isdir(path):
        return None
    choices: tuple[Any, ...] = ({}, "auto")
    for chunks in choices:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the caller has heard them when the dataset was opened
            try:
                again = xarray.open_zarr(path, chunks=chunks)
            except Exception:  # noqa: BLE001 - whatever a backend raises, the dataset itself can be read
                return None
        if _is_same(dataset, again):
            return path
    return None


def _is_same(a: xarray.Dataset, b: xarray.Dataset) -> bool:
    """Tell whether two datasets are the same without reading what is in files."""
    if list(a.variables) != list(b.variables) or set(a.coords) != set(b.coords):
        return False
    pairs = [(v, b.variables[name]) for name, v in a.variables.items()]
    return _is_identical(_emptied(a), _emptied(b)) and all(_is_same_variable(v, w) for v, w in pairs)


def _is_identical(a: Any, b: Any) -> bool:
    return bool(a.identical(b))


def _emptied(dataset: xarray.Dataset) -> xarray.Dataset:
    """Return a dataset of the same attributes and variables without values."""
    import xarray

    variables = {name: ((), 0, variable.attrs) for name, variable in dataset.variables.items()}
    return xarray.Dataset({f"_{name}": variable for name, variable in variables.items()}, attrs=dataset.attrs)


def _is_same_variable(a: xarray.Variable, b: xarray.Variable) -> bool:
    if a.dims != b.dims or repr(a.encoding) != repr(b.encoding):
        return False
    if a.chunks is not None and b.chunks is not None:
        return bool(a.data.name == b.data.name)
    # Indexes are in memory, and single values are read for this.
    cheap = a.size <= 1 or getattr(a, "_in_memory", False)
    return a.chunks is b.chunks and cheap and _is_identical(a, b)


def _encoded_source(
    dataset: xarray.Dataset, options: Mapping[str, Mapping[str, Any]], chunks: dict[str, Shape]
) -> DatasetSource:
    """Return a dataset as a store that encodes it while it is read."""
    from xarray.conventions import encode_dataset_coordinates

    variables, attributes = encode_dataset_coordinates(dataset)
    arrays: dict[str, LazyArray] = {}
    kept: dict[str, Json] = {}
    marks = []
    for name, variable in variables.items():
        key, own = str(name), options.get(str(name), {})
        encoding = {**variable.encoding, **own}
        if "dtype" in own and "fill_value" not in own:
            encoding.pop("fill_value", None)  # it was one of the old type
        kept[key] = {
            "compressor" if option == "compressors" else option: variable.encoding[option]
            for option in _CODECS
            if variable.encoding.get(option) is not None
        }
        encoded, data = _encode(variable, key, {k: v for k, v in encoding.items() if k not in _STORAGE})
        arrays[key] = _lazy_array(encoded, data, key)
        marks.append((key, _identity(data)))
    token = hashlib.blake2b(json.dumps(marks).encode(), digest_size=8).hexdigest()
    store = ArrayStore(arrays, name=f"xarray dataset {token}", attributes=_attributes(attributes, "the dataset"))
    return DatasetSource(store, chunks, kept)


def _encode(variable: xarray.Variable, name: str, encoding: Json) -> tuple[xarray.Variable, Any]:
    """Return a variable as it is stored, and its data: a dask array, or one of numpy."""
    from xarray.backends.zarr import encode_zarr_variable

    variable = _in_chunks(variable, name).copy(deep=False)
    variable.encoding = encoding
    # Newer versions of xarray ask for the format, because strings of variable length are stored by it.
    keywords: Json = {"zarr_format": 3} if "zarr_format" in inspect.signature(encode_zarr_variable).parameters else {}
    try:
        encoded = encode_zarr_variable(variable, name=name, **keywords)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"variable {name!r} cannot be encoded: {error}") from error
    return encoded, encoded.data if is_dask_array(encoded.data) else np.asarray(encoded.values)


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
            f"variable {name!r} is read from its file piece by piece, which takes dask. Install it or load the dataset."
        ) from error


def _lazy_array(encoded: xarray.Variable, data: Any, name: str) -> LazyArray:
    attributes = dict(encoded.attrs)
    fill_value = encoded.encoding.get("fill_value")
    if fill_value is None and data.dtype.kind == "f":
        fill_value = np.nan  # what xarray takes, where Zarr's own default is 0
    mask = attributes.pop("_FillValue", None)
    if mask is not None:
        attributes["_FillValue"] = _mask(mask, data.dtype, name)
    return lazy_array(
        data,
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
    if is_dask_array(data):
        return str(data.name)
    raw = repr(data.tolist()).encode() if data.dtype.kind in "OT" else np.ascontiguousarray(data).view(np.uint8).data
    return hashlib.blake2b(raw, digest_size=8).hexdigest()
