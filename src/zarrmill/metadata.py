"""Zarr v3 documents: the layout that one describes, the document of a target, and the zarr Array of a document."""

from __future__ import annotations

import copy
import json
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.array_spec import ArrayConfig, ArraySpec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.dtype import ZDType, get_data_type_from_json
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import StorePath

from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.grid import Shape
from zarrmill.hierarchy import Node
from zarrmill.layout import ArrayLayout
from zarrmill.store import OpenedStore
from zarrmill.v2 import byte_orders

Json = dict[str, Any]

VARIABLE_ITEMSIZE = 64
"""Bytes that a value of variable length is taken to have: a name or a short sentence, and its Python object."""
_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_INDEX_CODECS = [_LITTLE, {"name": "crc32c"}]
_VARIABLE = {"T": ("string", "vlen-utf8"), "O": ("bytes", "vlen-bytes")}
"""Name of the type in layouts and serializer, by kind of the numpy types whose values vary in length."""
_LEVELS = {
    "zstd": ("zstd", "level", 0, range(-131072, 23)),
    "gzip": ("gzip", "level", 5, range(10)),
    "zlib": ("numcodecs.zlib", "level", 1, range(10)),
    "bz2": ("numcodecs.bz2", "level", 1, range(1, 10)),
    "lz4": ("numcodecs.lz4", "acceleration", 1, range(1, 65538)),
}
"""Codecs with one number: name in Zarr v3, its setting, and that setting's default and limits."""
_BLOSC_NAMES = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")
_BLOSC_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")
KNOWN_CODECS = (
    "keep, none, zstd[:level], blosc[:name[:level[:shuffle]]], gzip[:level], zlib[:level], bz2[:level], "
    "lz4[:acceleration], crc32c"
)
"""What people can ask for."""


def layout_of(node: Node, *, itemsize_of_variable: int = VARIABLE_ITEMSIZE) -> ArrayLayout:
    """Return how the array of a node lies in its store.

    Where shards hold shards, the outermost count and the others are a codec of their chunks. ``itemsize_of_variable``
    is the estimate in bytes for a value of variable length. Raises SourceFormatError for grids that are not regular,
    for types that the installed zarr does not know, and for documents that contradict themselves.
    """
    document = node.metadata
    try:
        dtype, write_chunk = numpy_dtype_of(document), _regular_chunk(document)
        if document.get("storage_transformers"):
            raise SourceFormatError("storage transformers are not supported, because no version of zarr has any")
        codecs, chunks, shards = _normal(document["codecs"], dtype), write_chunk, None
        if [codec["name"] for codec in codecs] == ["sharding_indexed"]:
            sharding = codecs[0]["configuration"]
            codecs, chunks, shards = _normal(sharding["codecs"], dtype), tuple(sharding["chunk_shape"]), write_chunk
            if len(chunks) != len(shards) or any(c < 1 or s % c for s, c in zip(shards, chunks, strict=True)):
                raise SourceFormatError(f"shards {shards} are not whole chunks {chunks}")
    except SourceFormatError as error:
        raise SourceFormatError(f"{node.path or 'the root array'}: {error}") from error
    except (KeyError, TypeError) as error:
        raise SourceFormatError(f"{node.path or 'the root array'}: malformed codecs {document['codecs']}") from error
    names = document.get("dimension_names")
    return ArrayLayout(
        shape=tuple(document["shape"]),
        dtype=_dtype_name(dtype),
        itemsize=itemsize_of_variable if dtype.kind in _VARIABLE else dtype.itemsize,
        chunks=chunks,
        shards=shards,
        dims=None if names is None else tuple(names),
        codecs=tuple(json.dumps(codec, sort_keys=True, separators=(",", ":")) for codec in codecs),
    )


def _regular_chunk(document: Json) -> Shape:
    grid, shape = document["chunk_grid"], document["shape"]
    name = grid.get("name") if isinstance(grid, dict) else grid
    if name != "regular":
        raise SourceFormatError(
            f"the chunk grid is {name!r}; only regular ones can be read. Write it with equal chunks."
        )
    chunk = grid["configuration"]["chunk_shape"]
    if len(chunk) != len(shape) or any(c < 1 and n for n, c in zip(shape, chunk, strict=True)):
        raise SourceFormatError(f"chunks {chunk} do not divide shape {shape}")
    return tuple(max(1, c) for c in chunk)


def _dtype_name(dtype: np.dtype[Any]) -> str:
    """Return the name of a type in layouts.

    >>> _dtype_name(np.dtype("M8[s]")), _dtype_name(np.dtype("U8")), _dtype_name(np.dtype([("a", "i4")]))
    ('datetime64[s]', '<U8', "[('a', '<i4')]")
    """
    if dtype.kind in _VARIABLE:
        return _VARIABLE[dtype.kind][0]
    if dtype.names is not None:
        return str(dtype.descr)
    return dtype.str if dtype.kind in "SUV" else dtype.name


def _normal(codecs: Sequence[Any], dtype: np.dtype[Any]) -> list[Json]:
    """Return codecs with the settings that zarr-python adds where they are left out."""
    named: list[Json] = [{"name": codec} if isinstance(codec, str) else codec for codec in codecs]
    normal = []
    for codec in named:
        config = codec.get("configuration") or {}
        if codec["name"] == "bytes" and not config.get("endian") and dtype.names is not None and byte_orders(dtype):
            codec = _LITTLE  # zarr 3.1 leaves it out for structured types, 3.4 then warns every reader
        elif codec["name"] == "blosc" and not (config.get("typesize") and config.get("shuffle")):
            typesize = 1 if dtype.kind in _VARIABLE else dtype.itemsize
            codec = {"name": "blosc", "configuration": {**_blosc_defaults(typesize), **config}}
        normal.append(codec)
    return normal


def _blosc_defaults(typesize: int) -> Json:
    return {"typesize": typesize, "shuffle": "bitshuffle" if typesize == 1 else "shuffle"}


CodecsRequest = str | Sequence[str] | Sequence[Json] | Mapping[str, str | Sequence[str] | Sequence[Json]] | None
"""Names, or all codecs of a chunk as Zarr v3 documents, for every array or by array path."""


def codecs_from_request(request: CodecsRequest, layout: ArrayLayout, *, path: str = "") -> list[Json] | None:
    """Return the codecs that people ask for by name, or None for those of the source ("keep").

    Several names are applied in their order; documents are taken as they are, and arrays that a request by path does
    not name keep theirs. Raises InvalidInputError for names and numbers that do not exist.

    >>> layout = ArrayLayout(shape=(9,), dtype="float64", itemsize=8, chunks=(3,))
    >>> codecs_from_request("zstd:5", layout)[1]
    {'name': 'zstd', 'configuration': {'level': 5, 'checksum': False}}
    """
    if isinstance(request, Mapping):
        request = request.get(path)
    if request is None or request == "keep":
        return None
    asked = [request] if isinstance(request, str) else list(request)
    documents = [codec for codec in asked if isinstance(codec, dict)]
    if documents:
        return copy.deepcopy(documents)
    names = [str(name) for name in asked]
    serializers = {name: {"name": codec, "configuration": {}} for name, codec in _VARIABLE.values()}
    single_bytes = layout.dtype.startswith("|") or layout.dtype in ("bool", "int8", "uint8")
    serializer = serializers.get(layout.dtype, {"name": "bytes"} if single_bytes else _LITTLE)
    typesize = 1 if layout.dtype in serializers else layout.itemsize
    return [copy.deepcopy(serializer), *(_codec(name, typesize) for name in names if name != "none")]


def _codec(text: str, typesize: int) -> Json:
    """Return the codec that one text asks for, such as "blosc:zstd:5:shuffle"."""
    name, *settings = str(text).split(":")
    if name in _LEVELS and len(settings) <= 1:
        codec, key, default, limits = _LEVELS[name]
        config: Json = {key: _number(settings[0], limits, text) if settings else default}
        return {"name": codec, "configuration": config | ({"checksum": False} if name == "zstd" else {})}
    if name == "blosc" and len(settings) <= 3:
        return _blosc(text, settings, typesize)
    if text == "crc32c":
        return {"name": "crc32c"}
    raise InvalidInputError(f"codec {text!r} is not known. Use one of: {KNOWN_CODECS}.")


def _blosc(text: str, settings: list[str], typesize: int) -> Json:
    defaults = _blosc_defaults(typesize)
    given = [*settings, *["zstd", "5", defaults["shuffle"]][len(settings) :]]
    name, level, shuffle = given
    for setting, known in ((name, _BLOSC_NAMES), (shuffle, _BLOSC_SHUFFLES)):
        if setting not in known:
            raise InvalidInputError(f"codec {text!r}: {setting!r} is not one of {', '.join(known)}.")
    config = {"typesize": typesize, "cname": name, "clevel": _number(level, range(10), text)}
    return {"name": "blosc", "configuration": {**config, "shuffle": shuffle, "blocksize": 0}}


def _number(setting: str, limits: range, text: str) -> int:
    try:
        number = int(setting)
    except ValueError:
        number = limits.stop
    if number not in limits:
        raise InvalidInputError(f"codec {text!r}: {setting!r} is not a number from {limits[0]} to {limits[-1]}.")
    return number


def target_document(node: Node, layout: ArrayLayout, *, codecs: Sequence[Json] | None, checksum: bool) -> Json:
    """Return the ``zarr.json`` of the array of a node in another layout.

    ``codecs`` are the codecs of the (inner) chunks, None for those of the source. What names the array's values stays:
    type, fill value, attributes, dimension names. Values become little-endian and in C order, codecs that only
    served a v2 array's order of bytes or axes go, and shards are not nested. ``checksum`` adds CRC-32C to each chunk
    of a shard.
    """
    inner = _kept_codecs(node) if codecs is None else list(codecs)
    # One directory per chunk is what "/" means on a local disk: it costs more than the chunk.
    separator = "." if layout.shards is None and layout.shape else "/"
    if layout.shards is not None:
        if checksum and inner[-1]["name"] != "crc32c":
            inner.append({"name": "crc32c"})
        inner = [_sharding(layout.chunks, inner)]
    grid = layout.shards or layout.chunks
    changed = {
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(grid)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": separator}},
        "codecs": inner,
        "storage_transformers": [],
    }
    return copy.deepcopy({**node.metadata, **changed})


def _sharding(chunks: Shape, codecs: list[Json]) -> Json:
    config = {"chunk_shape": list(chunks), "codecs": codecs, "index_codecs": _INDEX_CODECS, "index_location": "end"}
    return {"name": "sharding_indexed", "configuration": config}


def _kept_codecs(node: Node) -> list[Json]:
    """Return the codecs of a target that keeps those of its source."""
    dtype = numpy_dtype_of(node.metadata)
    codecs = [codec for codec in _unsharded(node.metadata["codecs"], dtype) if not _is_byte_order(codec)]
    after = next((codec["name"] for codec in codecs if codec["name"] != "transpose"), "")
    # Filters of numcodecs write transposed chunks in the wrong order before zarr 3.4 (zarr-python issue 3558).
    if node.zarr_format == 2 or after.startswith("numcodecs."):
        codecs = [codec for codec in codecs if codec["name"] != "transpose"]
    return [_LITTLE if codec["name"] == "bytes" and codec.get("configuration") else codec for codec in codecs]


def _unsharded(codecs: Sequence[Any], dtype: np.dtype[Any]) -> list[Json]:
    """Return codecs with those inside of shards in the place of the shards."""
    flat: list[Json] = []
    for codec in _normal(codecs, dtype):
        sharded = codec["name"] == "sharding_indexed"
        flat += _unsharded(codec["configuration"]["codecs"], dtype) if sharded else [codec]
    return flat


def _is_byte_order(codec: Json) -> bool:
    """Tell whether a codec changes no more than the order of bytes."""
    if codec["name"] != "numcodecs.astype":
        return False
    types = [np.dtype(codec["configuration"][key]).newbyteorder("<") for key in ("encode_dtype", "decode_dtype")]
    return bool(types[0] == types[1])


def group_document(node: Node) -> Json:
    """Return the ``zarr.json`` of the group of a node, without consolidated metadata."""
    known = {"attributes": node.metadata.get("attributes", {}), "zarr_format": 3, "node_type": "group"}
    return copy.deepcopy({**known, **{key: value for key, value in node.metadata.items() if key not in known}})


def zarr_array(document: Json, opened: OpenedStore, path: str) -> zarr.Array[Any]:
    """Return the zarr Array of a v3 document over the chunks at a path, there already or not; no metadata are needed.

    Raises SourceFormatError for documents that the installed zarr rejects.
    """
    with _explained(f"{path or 'the root array'}: zarr {zarr.__version__} cannot read the metadata"), _quiet(document):
        metadata = ArrayV3Metadata.from_dict(document)
        return zarr.Array(zarr.AsyncArray(metadata=metadata, store_path=StorePath(opened.for_arrays, path)))


def shards_lack(document: Json) -> str | None:
    """Return what keeps the installed zarr from reading shards of an array's values, or None when it can.

    zarr 3.1 fails on shards of records and raw bytes, because it looks for their fill value in a hash table.
    """
    dtype = _data_type(document)
    value, config = fill_value_of(document)[()], ArrayConfig.from_dict({})
    try:
        hash(ArraySpec((), dtype, fill_value=value, config=config, prototype=default_buffer_prototype()))
    except TypeError:
        return f"zarr {zarr.__version__} cannot read shards of {_dtype_name(numpy_dtype_of(document))}"
    return None


def numpy_dtype_of(document: Json) -> np.dtype[Any]:
    """Return the numpy type of an array's values in memory, in the machine's byte order.

    Strings of variable length are numpy's StringDType, bytes of variable length are Python objects.

    >>> numpy_dtype_of({"data_type": {"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": 1}}})
    dtype('<M8[s]')
    """
    dtype: np.dtype[Any] = _data_type(document).to_native_dtype()
    return dtype if dtype.kind in _VARIABLE else dtype.newbyteorder("=")


def fill_value_of(document: Json) -> NDArray[Any]:
    """Return the value of missing chunks as an array of no axes.

    >>> fill_value_of({"data_type": "float32", "fill_value": "NaN"})
    array(nan, dtype=float32)
    """
    dtype = numpy_dtype_of(document)
    with _explained(f"fill_value {document.get('fill_value')!r} is no {_dtype_name(dtype)}"), _quiet(document):
        value = np.empty((), dtype=dtype)
        value[()] = _data_type(document).from_json_scalar(document["fill_value"], zarr_format=3)
        return value


def _data_type(document: Json) -> ZDType[Any, Any]:
    data_type = document["data_type"]
    with _explained(f"data type {data_type!r} is not known to zarr {zarr.__version__}"):
        return get_data_type_from_json(data_type, zarr_format=3)


@contextmanager
def _explained(message: str) -> Iterator[None]:
    """Turn what zarr raises about metadata into a SourceFormatError that begins with a message."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise SourceFormatError(f"{message}: {error}") from error


_WARNINGS: tuple[tuple[str, type[Warning]], ...] = (
    # zarr 3.1, on every filter of numcodecs: the user chose it when the source was written.
    ("Numcodecs codecs are not in the Zarr version 3 specification", UserWarning),
    # zarr 3.4, on structured arrays that 3.1 wrote; it reads them as we do.
    ("Missing 'endian' for structured dtype", UserWarning),
    # numpy 2.5, on how zarr makes the fill value of times without a unit.
    ("The 'generic' unit for NumPy", DeprecationWarning),
)
_WARNING_WORDS = ("numcodecs.", "struct", "generic")
_WARNING_LOCK = threading.Lock()
"""Filters of warnings belong to the whole process, so one thread at a time may change them."""


@contextmanager
def _quiet(document: Json) -> Iterator[None]:
    """Silence warnings about a document of which its reader has already heard, or cannot do anything about."""
    text = json.dumps([document.get("data_type"), document.get("codecs")])
    if not any(word in text for word in _WARNING_WORDS):
        yield
        return
    with _WARNING_LOCK, warnings.catch_warnings():
        for message, category in _WARNINGS:
            warnings.filterwarnings("ignore", message=message, category=category)
        yield
