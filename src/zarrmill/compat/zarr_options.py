"""rechunker's options for arrays, which are keywords of Zarr v2, in the words of Zarr v3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numcodecs.abc
import numpy as np
from zarr.abc.codec import ArrayArrayCodec, ArrayBytesCodec, Codec
from zarr.registry import get_codec_class

from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.v2 import as_v3

Json = dict[str, Any]
KNOWN = ("cache_attrs", "cache_metadata", "compressor", "filters", "order", "overwrite", "shards", "write_empty_chunks")
"""What may be asked for one array; "compressors" is taken for "compressor". All but "shards" are rechunker's."""
DEFAULT = ("auto", "default")
"""Words for the codecs that would be there anyway."""
_ROUNDING = {f"numcodecs.{name}" for name in ("astype", "bitround", "delta", "fixedscaleoffset", "quantize", "zfpy")}
"""Codecs that may return other values than they were given."""
_TEXT = ("vlen-utf8", "vlen-bytes")
"""Filters of v2 that every string array has, and that v3 has as its serializer."""
_ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}


@dataclass(frozen=True, slots=True)
class ArrayOptions:
    """What is asked for one array."""

    codecs: list[Json] | None
    """All codecs of a chunk as Zarr v3 documents, None for those that it has."""
    shards: Any
    """Shards as the engine takes them: "auto", None or sizes."""
    overwrite: bool
    """Whether an array of this name may be replaced."""
    notes: tuple[str, ...]
    """What people should know."""

    @property
    def rounds(self) -> bool:
        """Whether a codec was asked for that may change values."""
        return any(codec["name"] in _ROUNDING for codec in self.codecs or ())


def read_options(options: Mapping[str, Any] | None, *, kept: Sequence[Json], dtype: np.dtype[Any]) -> ArrayOptions:
    """Return the options of one array.

    ``kept`` are the codecs that the array has. A compressor replaces what follows the plain bytes, and
    filters what comes before; the other stays. Raises InvalidInputError for options and codecs that mean nothing.

    >>> kept = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd"}]
    >>> [codec["name"] for codec in read_options({"compressor": None}, kept=kept, dtype=np.dtype("f8")).codecs]
    ['bytes']
    """
    given = {("compressor" if name == "compressors" else name): value for name, value in (options or {}).items()}
    for name, value in given.items():
        if name not in KNOWN:
            raise InvalidInputError(
                f"target option {name!r} (given as {value!r}) is not known. Use one of {', '.join(KNOWN)}."
            )
    notes = []
    if given.get("order", "C") not in ("C", None):
        notes.append(
            f"order {given['order']!r} is not kept: chunks of Zarr v3 are stored in C order, readers see no change"
        )
    if given.get("write_empty_chunks"):
        notes.append("write_empty_chunks is not kept: chunks that hold the fill value alone are never stored")
    return ArrayOptions(
        _chain(given, kept, dtype), given.get("shards", "auto"), bool(given.get("overwrite")), tuple(notes)
    )


def default_codecs(document: Json) -> list[Json]:
    """Return the codecs of an array that has never been stored: what its metadata say, and zstd."""
    return [*document["codecs"], _ZSTD]


def _chain(given: Mapping[str, Any], kept: Sequence[Json], dtype: np.dtype[Any]) -> list[Json] | None:
    compressor, filters = (given.get(name, "default") for name in ("compressor", "filters"))
    if _is_default(compressor) and _is_default(filters):
        return None
    before, serializer, after = _split(kept)
    behind: list[Json] = []
    if not _is_default(filters):
        before, other, behind = _split(_documents(filters, dtype, option="filters"))
        serializer = other or serializer
    if not _is_default(compressor):
        front, other, after = _split(_documents(compressor, dtype, option="compressor"))
        if front or other:
            raise InvalidInputError(f"compressor {compressor!r} is a filter. Give it as one of the filters.")
    # Filters of v2 may end in codecs of bytes, which come before the compressor.
    return [*before, *serializer, *behind, *after]


def _is_default(value: Any) -> bool:
    return isinstance(value, str) and value in DEFAULT


def _documents(codecs: Any, dtype: np.dtype[Any], *, option: str) -> list[Json]:
    """Return the Zarr v3 documents of one codec or several, whatever library they come from."""
    several = codecs if isinstance(codecs, list | tuple) else [codecs]
    return [document for codec in several for document in _document(codec, dtype, option=option)]


def _document(codec: Any, dtype: np.dtype[Any], *, option: str) -> list[Json]:
    if codec is None:
        return []
    if isinstance(codec, Codec):
        return [dict(codec.to_dict())]
    if isinstance(codec, Mapping) and "name" in codec:
        return [dict(codec)]
    config = codec.get_config() if isinstance(codec, numcodecs.abc.Codec) else codec
    if not isinstance(config, Mapping) or "id" not in config:
        raise InvalidInputError(f"{option} {codec!r} is no codec. Give one of numcodecs or of zarr.codecs, or None.")
    if config["id"] in _TEXT:
        return []
    return _as_v3(dict(config), dtype, option=option)


def _as_v3(config: Json, dtype: np.dtype[Any], *, option: str) -> list[Json]:
    """Return the document of a numcodecs codec, without the serializer that an array would have besides."""
    text = dtype.kind in "OT"
    zarray = {
        "shape": [1],
        "chunks": [1],
        "dtype": "|O" if text else dtype.str if dtype.names is None else f"|V{dtype.itemsize}",
        "order": "C",
        "fill_value": None,
        "filters": [{"id": "vlen-utf8"}, config] if text else [config],
        "compressor": None,
    }
    try:
        codecs = as_v3(zarray, {})[0]["codecs"]
    except SourceFormatError as error:
        raise InvalidInputError(f"{option} {config['id']!r}: {error}") from error
    return [codec for codec in codecs if codec["name"] not in ("bytes", *_TEXT)]


def _split(documents: Sequence[Json]) -> tuple[list[Json], list[Json], list[Json]]:
    """Return codecs by what they work on: arrays, from arrays to bytes (at most one), bytes."""
    parts: tuple[list[Json], list[Json], list[Json]] = ([], [], [])
    for document in documents:
        try:
            kind = get_codec_class(document["name"])
        except KeyError as error:
            raise InvalidInputError(f"codec {document['name']!r} is not known to the installed zarr.") from error
        parts[0 if issubclass(kind, ArrayArrayCodec) else 1 if issubclass(kind, ArrayBytesCodec) else 2].append(
            document
        )
    return parts
