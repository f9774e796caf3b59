"""Zarr v2 array metadata as the Zarr v3 document that describes the same stored bytes: JSON in, JSON out.

Both directions of the mapping are public: https://zarr-specs.readthedocs.io has the formats, zarr-python the names of
the data types and of the codecs that no specification has (``numcodecs.<id>``).
"""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import numpy as np

from zarrmill.errors import SourceFormatError

Json = dict[str, Any]

ARRAY_DIMENSIONS = "_ARRAY_DIMENSIONS"
"""The attribute in which xarray keeps the dimension names of a v2 array."""
NAT = -(2**63)
"""NaT as an integer, which is how zarr-python writes it."""

_DTYPE_KEYS = {
    "delta": ("astype", "dtype"),
    "fixedscaleoffset": ("astype", "dtype"),
    "quantize": ("astype", "dtype"),
    "astype": ("encode_dtype",),
    "packbits": (),
    "bitround": (),
}
"""Filters from array to array that Zarr v3 knows, each with the settings that may name the type of its result."""
_ARRAY_TO_BYTES = frozenset({"pcodec", "zfpy"})
_VARIABLE_LENGTH = {"vlen-utf8": "string", "vlen-bytes": "variable_length_bytes"}
_BYTES_TO_BYTES = frozenset({
    "adler32", "blosc", "bz2", "crc32", "crc32c", "fletcher32", "gzip", "jenkins_lookup3", "lz4", "lzma", "shuffle",
    "zlib", "zstd",
})  # fmt: skip
_SHUFFLES = {0: "noshuffle", 1: "shuffle", 2: "bitshuffle"}
_REMEDY = "Write it again with zarr-python"


def as_v3(zarray: Json, zattrs: Json) -> tuple[Json, tuple[str, ...]]:
    """Return the Zarr v3 document of a v2 array whose chunks stay as they are, and notes on what it cannot say.

    ``zarray`` and ``zattrs`` are the contents of ``.zarray`` and ``.zattrs``. Raises SourceFormatError for metadata
    that are not v2 metadata, and for types and codecs that Zarr v3 has no name for.

    >>> zarray = {"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": ">f4", "order": "C", "fill_value": None,
    ...           "filters": None, "compressor": {"id": "gzip", "level": 1}}
    >>> document, notes = as_v3(zarray, {"_ARRAY_DIMENSIONS": ["time"]})
    >>> document["data_type"], document["dimension_names"], [codec["name"] for codec in document["codecs"]]
    ('float32', ['time'], ['bytes', 'gzip'])
    >>> notes
    ('fill_value null became 0.0',)
    """
    shape, chunks = _lengths(zarray, "shape"), _lengths(zarray, "chunks")
    if len(shape) != len(chunks) or any(n and not c for n, c in zip(shape, chunks, strict=True)):
        raise SourceFormatError(f"chunks {chunks} do not divide shape {shape}")
    filters = [_codec_id(codec) for codec in zarray.get("filters") or ()]
    compressor = [_codec_id(zarray["compressor"])] if zarray.get("compressor") else []
    variable = next((_VARIABLE_LENGTH[name] for name, _ in filters if name in _VARIABLE_LENGTH), None)
    dtype = _dtype(zarray.get("dtype"), variable=variable, codecs=[name for name, _ in filters])
    fill_value, notes = _fill_value(zarray.get("fill_value"), dtype, variable=variable)
    attributes, names = _dimension_names(zattrs, len(shape))
    if names is not None and zarray.get("fill_value") is not None:
        attributes, notes = _with_mask(attributes, fill_value, "T" if variable == "string" else dtype.kind)
    separator = zarray.get("dimension_separator", ".")
    document = {
        "shape": shape,
        "data_type": variable or _data_type(dtype),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [max(1, c) for c in chunks]}},
        "chunk_key_encoding": {"name": "v2", "configuration": {"separator": separator}},
        "fill_value": fill_value,
        "codecs": _codecs(filters + compressor, dtype, order=_order(zarray, len(shape))),
        "attributes": attributes,
        **({} if names is None else {"dimension_names": names}),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    return document, notes


def group_as_v3(zattrs: Json) -> Json:
    """Return the Zarr v3 document of a v2 group.

    >>> group_as_v3({"title": "night 7"})
    {'attributes': {'title': 'night 7'}, 'zarr_format': 3, 'node_type': 'group'}
    """
    return {"attributes": zattrs, "zarr_format": 3, "node_type": "group"}


def _lengths(zarray: Json, key: str) -> list[int]:
    value = zarray.get(key)
    if not isinstance(value, list) or any(not isinstance(n, int) or n < 0 for n in value):
        raise SourceFormatError(f"{key} is {value!r} where a list of lengths belongs")
    return value


def _order(zarray: Json, ndim: int) -> list[int] | None:
    """Return the axes of the stored values from slowest to fastest, None where that is the order of the array."""
    order = zarray.get("order", "C")
    if order not in ("C", "F"):
        raise SourceFormatError(f"order is {order!r} where C or F belongs")
    return list(range(ndim))[::-1] if order == "F" and ndim > 1 else None


def _codec_id(codec: Any) -> tuple[str, Json]:
    """Return the id of a v2 codec and the rest of its settings."""
    if not isinstance(codec, dict) or not isinstance(codec.get("id"), str):
        raise SourceFormatError(f"{codec!r} is no codec, because it has no id")
    return codec["id"], {key: value for key, value in codec.items() if key != "id"}


def _dtype(name: Any, *, variable: str | None, codecs: list[str]) -> np.dtype[Any]:
    """Return the numpy type of the stored values; object for those of variable length."""
    try:
        # None and Python types mean something to numpy, but nothing in Zarr.
        dtype = np.dtype(_fields(name) if isinstance(name, list) else str(name))
    except SourceFormatError:
        raise
    except (TypeError, ValueError) as error:
        raise SourceFormatError(f"dtype {name!r} is no data type of Zarr v2") from error
    if dtype.hasobject and variable is None:
        raise SourceFormatError(
            f"values of dtype {name!r} are Python objects (filters: {', '.join(codecs) or 'none'}), "
            f"which Zarr v3 cannot hold. {_REMEDY} as strings (dtype=str) or numbers."
        )
    return dtype


def _fields(names: list[Any]) -> list[Any]:
    """Return the field list of a structured type as numpy takes it: tuples, at every depth."""
    fields = []
    for field in names:
        if not isinstance(field, list) or len(field) != 2:
            raise SourceFormatError(f"field {field!r} is not a name and a type. {_REMEDY} with one value per field.")
        fields.append((field[0], _fields(field[1]) if isinstance(field[1], list) else field[1]))
    return fields


def _data_type(dtype: np.dtype[Any]) -> str | Json:
    """Return the v3 data type of values of fixed size.

    >>> _data_type(np.dtype("M8[10s]"))
    {'name': 'numpy.datetime64', 'configuration': {'unit': 's', 'scale_factor': 10}}
    """
    if dtype.names is not None:
        # zarr 3.4 writes "struct", which 3.1 cannot read; both read this spelling, and fill values in base64 with it.
        return {"name": "structured", "configuration": {"fields": [[n, _data_type(dtype[n])] for n in dtype.names]}}
    if dtype.kind in "mM":
        unit, scale = np.datetime_data(dtype)
        kind = {"m": "timedelta64", "M": "datetime64"}[dtype.kind]
        return {"name": f"numpy.{kind}", "configuration": {"unit": unit, "scale_factor": scale}}
    named = {"S": "null_terminated_bytes", "U": "fixed_length_utf32", "V": "raw_bytes"}.get(dtype.kind)
    if named is not None and dtype.itemsize > 0:
        return {"name": named, "configuration": {"length_bytes": dtype.itemsize}}
    if dtype.kind in "biufc" and dtype.itemsize <= (16 if dtype.kind == "c" else 8):
        return dtype.name
    raise SourceFormatError(f"dtype {dtype.str!r} has no counterpart in Zarr v3. {_REMEDY} as another type.")


def _fill_value(value: Any, dtype: np.dtype[Any], *, variable: str | None) -> tuple[Any, tuple[str, ...]]:
    """Return the v3 fill value of a v2 one, and a note where v2 left it open."""
    if value is None:
        default = "" if variable else _default(dtype)
        return default, (f"fill_value null became {default!r}",)
    try:
        if variable == "string":
            return str(value), ()
        if variable is not None:
            return (value if isinstance(value, str) else ""), ()
        return _fixed_fill_value(value, dtype), ()
    except (TypeError, ValueError) as error:
        raise SourceFormatError(f"fill_value {value!r} is no value of dtype {dtype.str!r}") from error


def _default(dtype: np.dtype[Any]) -> Any:
    """Return the fill value that zarr-python reads where v2 has none: NaT, or all bits zero."""
    return NAT if dtype.kind in "mM" else _fixed_fill_value("" if dtype.kind in "SUV" else 0, dtype)


def _fixed_fill_value(value: Any, dtype: np.dtype[Any]) -> Any:
    match dtype.kind:
        case "b":
            return bool(value)
        case "i" | "u":
            return int(value)
        case "f":
            return _float(value)
        case "c":
            real, imag = value if isinstance(value, list) else (value, 0.0)
            return [_float(real), _float(imag)]
        case "m" | "M":
            # Older writers had NaT as text, or as the unsigned number of the same bits.
            return NAT if value in ("NaT", 2**63) else int(value)
        case "U":
            return str(value or "")
    stored = base64.b64decode(value, validate=True) if value else b""
    if dtype.kind == "V":
        stored = np.frombuffer(stored or bytes(dtype.itemsize), dtype).astype(dtype.newbyteorder("<"))[:1].tobytes()
    return base64.b64encode(stored).decode()


def _float(value: Any) -> float | str:
    """Return a float as v3 JSON: a number, or the name of one that JSON has not."""
    number = float(value)
    if math.isnan(number):
        return "NaN"
    return number if math.isfinite(number) else ("Infinity" if number > 0 else "-Infinity")


def _dimension_names(zattrs: Json, ndim: int) -> tuple[Json, list[str] | None]:
    """Return the attributes without xarray's list of dimensions, and that list where it fits the array."""
    names = zattrs.get(ARRAY_DIMENSIONS)
    if not isinstance(names, list) or len(names) != ndim or not all(isinstance(name, str) for name in names):
        return zattrs, None
    return {key: value for key, value in zattrs.items() if key != ARRAY_DIMENSIONS}, names


def _with_mask(attributes: Json, fill_value: Any, kind: str) -> tuple[Json, tuple[str, ...]]:
    """Return the attributes with the ``_FillValue`` that xarray takes from the fill value in v2, but not in v3."""
    if "_FillValue" in attributes or kind not in "biufcSUT":
        return attributes, ()
    if kind == "f":
        mask: Any = _packed(fill_value)
    else:
        mask = [_packed(part) for part in fill_value] if kind == "c" else fill_value
    note = "fill_value, which xarray takes for the missing value in Zarr v2, became the attribute _FillValue too"
    return {**attributes, "_FillValue": mask}, (note,)


def _packed(value: float | str) -> str:
    """Return a float as xarray writes it into attributes: base64 of the little-endian double."""
    return base64.b64encode(struct.pack("<d", float(value))).decode()


def _codecs(encoders: list[tuple[str, Json]], dtype: np.dtype[Any], *, order: list[int] | None) -> list[Json]:
    """Return the v3 codecs: array to array, one from array to bytes, bytes to bytes."""
    front: list[Json] = [] if order is None else [{"name": "transpose", "configuration": {"order": order}}]
    serializer: Json | None = None
    back: list[Json] = []
    encoded = dtype
    for name, config in encoders:
        if name in _BYTES_TO_BYTES:
            # What follows a serializer sees bytes; what follows an array sees its values.
            typesize = 1 if serializer is not None else encoded.itemsize
            back.append(_bytes_codec(name, config, typesize=typesize))
        elif serializer is not None or back:
            raise SourceFormatError(f"filter {name!r} on encoded bytes cannot be expressed in Zarr v3. {_REMEDY}.")
        elif name in _VARIABLE_LENGTH:
            serializer = {"name": name, "configuration": {}}
        elif name in _ARRAY_TO_BYTES:
            serializer = _filter(name, config)
        elif name in _DTYPE_KEYS:
            result = _encoded_dtype(name, config, encoded)
            if name == "quantize" and result != encoded:
                # zarr does not know that this filter may change the type; one that does nothing else tells it.
                front.append(_filter(name, {**config, "astype": encoded.str}))
                front.append(_change(result.str, encoded.str))
            else:
                front.append(_filter(name, config))
            encoded = result
        else:
            raise SourceFormatError(f"codec {name!r} has no counterpart in Zarr v3. {_REMEDY} with zstd, say.")
    if serializer is None:
        front, serializer = _serializer(front, encoded)
    return [*front, serializer, *back]


def _encoded_dtype(name: str, config: Json, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of the values that a filter makes."""
    if name == "packbits":
        return np.dtype("u1")
    found = next((config[key] for key in _DTYPE_KEYS[name] if config.get(key)), None)
    return dtype if found is None else np.dtype(found)


def _serializer(front: list[Json], dtype: np.dtype[Any]) -> tuple[list[Json], Json]:
    """Return the codecs before the last array is turned into bytes, and the one that does that.

    The ``bytes`` codec gives all values one byte order. Where that does not do, a change of type by name comes first.
    """
    orders = byte_orders(dtype)
    if ">" not in orders:
        return front, {"name": "bytes", **({"configuration": {"endian": "little"}} if orders else {})}
    if dtype.names is not None:
        # Before zarr 3.4 the bytes codec ignores the byte order of fields, since then it knows only one for all of
        # them. It leaves raw bytes alone in every version.
        raw = f"|V{dtype.itemsize}"
        fields = _change(_by_fields(dtype), _by_fields(dtype.newbyteorder("<")))
        return [*front, fields, _change(raw, raw)], {"name": "bytes"}
    if any(codec["name"].startswith("numcodecs.") for codec in front):
        # Filters view what they get as the type in their settings, but zarr 3.4 hands it over in the machine's order.
        front = [*map(_in_little_endian, front), _change(dtype.str, dtype.newbyteorder("<").str)]
    return front, {"name": "bytes", "configuration": {"endian": "big"}}


def _filter(name: str, config: Json) -> Json:
    return {"name": f"numcodecs.{name}", "configuration": config}


def _change(stored: str, decoded: str) -> Json:
    return _filter("astype", {"encode_dtype": stored, "decode_dtype": decoded})


def _by_fields(dtype: np.dtype[Any]) -> str:
    """Return a structured type as one text without names, which is how a setting of a codec can hold it.

    >>> _by_fields(np.dtype([("a", ">i4"), ("b", "S3")]))
    '>i4,|S3,'
    """
    fields = [dtype[name] for name in dtype.names or ()]
    if any(field.names is not None for field in fields):
        raise SourceFormatError(f"big-endian fields of fields in {dtype.descr}. {_REMEDY} in little-endian order.")
    return "".join(f"{field.str}," for field in fields)


def _in_little_endian(codec: Json) -> Json:
    """Return a filter whose settings name little-endian types in place of big-endian ones.

    >>> _in_little_endian({"name": "numcodecs.delta", "configuration": {"dtype": ">i4"}})
    {'name': 'numcodecs.delta', 'configuration': {'dtype': '<i4'}}
    """
    settings = codec["configuration"].items()
    little = {key: f"<{value[1:]}" if isinstance(value, str) and value[:1] == ">" else value for key, value in settings}
    return {**codec, "configuration": little}


def byte_orders(dtype: np.dtype[Any]) -> set[str]:
    """Return the byte orders that occur in a type; none where all of it is single bytes.

    >>> sorted(byte_orders(np.dtype([("a", ">i4"), ("b", "<f8"), ("c", "S3")])))
    ['<', '>']
    """
    if dtype.names is not None:
        return set().union(*(byte_orders(dtype[name]) for name in dtype.names))
    return set() if dtype.byteorder == "|" else {dtype.str[0]}


def _bytes_codec(name: str, config: Json, *, typesize: int) -> Json:
    """Return the v3 form of a codec from bytes to bytes.

    >>> _bytes_codec("blosc", {"cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}, typesize=8)["configuration"]
    {'typesize': 8, 'cname': 'lz4', 'clevel': 5, 'shuffle': 'shuffle', 'blocksize': 0}
    """
    if name == "zstd":
        config = {"level": config.get("level", 1), "checksum": bool(config.get("checksum", False))}
    elif name == "gzip":
        config = {"level": config.get("level", 1)}
    elif name == "blosc":
        shuffle = config.get("shuffle", 1)
        config = {
            "typesize": typesize,
            "cname": config.get("cname", "lz4"),
            "clevel": config.get("clevel", 5),
            # -1 lets blosc choose by the size of a value.
            "shuffle": _SHUFFLES[shuffle if shuffle in _SHUFFLES else 2 if typesize == 1 else 1],
            "blocksize": config.get("blocksize", 0),
        }
    else:
        name = f"numcodecs.{name}"
    return {"name": name, "configuration": config}
