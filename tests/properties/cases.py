"""Random sources for the property tests: a Zarr array of any type, layout, codec and format, with known values."""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zarr
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec
from zarr.codecs import numcodecs as generic
from zarr.dtype import VariableLengthBytes, VariableLengthUTF8

RECORD = np.dtype([("id", "<i4"), ("flux", "<f8"), ("band", "S3")])

NUMBERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
FIXED = (*NUMBERS, "bool", "M8[s]", "M8[10ns]", "m8[ms]", "S5", "U3")
"""Types that the driver moves."""
FOREIGN = ("V6", "record", "string", "bytes")
"""Types that go through zarr-python."""

_SHUFFLES = ("noshuffle", "shuffle", "bitshuffle")

CODECS_V3: dict[str, list[Any]] = {
    "none": [],
    "zstd": [ZstdCodec(level=1)],
    "zstd with checksum": [ZstdCodec(level=3, checksum=True)],
    **{f"blosc {s}": [BloscCodec(cname="lz4", clevel=3, shuffle=s)] for s in _SHUFFLES},
    "blosc zstd": [BloscCodec(cname="zstd", clevel=1, shuffle="shuffle")],
    "gzip": [GzipCodec(level=1)],
    "crc32c": [Crc32cCodec()],
    "zstd, crc32c": [ZstdCodec(level=1), Crc32cCodec()],
    "lz4": [{"name": "numcodecs.lz4", "configuration": {"acceleration": 1}}],
    "zlib": [{"name": "numcodecs.zlib", "configuration": {"level": 1}}],
    "bz2": [{"name": "numcodecs.bz2", "configuration": {"level": 1}}],
    "lzma": [{"name": "numcodecs.lzma", "configuration": {"preset": 1}}],
    "shuffle, zstd": [{"name": "numcodecs.shuffle", "configuration": {"elementsize": 4}}, ZstdCodec(level=1)],
    "crc32": [{"name": "numcodecs.crc32", "configuration": {}}],
    "adler32": [{"name": "numcodecs.adler32", "configuration": {}}],
    "fletcher32": [{"name": "numcodecs.fletcher32", "configuration": {}}],
    "jenkins": [{"name": "numcodecs.jenkins_lookup3", "configuration": {"initval": 3}}],
}
"""Codecs from bytes to bytes by name; the driver knows all of them."""
GENERIC_CLASSES = {
    "numcodecs.lz4": generic.LZ4,
    "numcodecs.zlib": generic.Zlib,
    "numcodecs.bz2": generic.BZ2,
    "numcodecs.lzma": generic.LZMA,
    "numcodecs.shuffle": generic.Shuffle,
    "numcodecs.crc32": generic.CRC32,
    "numcodecs.adler32": generic.Adler32,
    "numcodecs.fletcher32": generic.Fletcher32,
    "numcodecs.jenkins_lookup3": generic.JenkinsLookup3,
}
CODECS_V2: dict[str, Any] = {
    "none": None,
    "zstd": numcodecs.Zstd(1),
    "blosc": numcodecs.Blosc("lz4", 3, numcodecs.Blosc.SHUFFLE),
    "gzip": numcodecs.GZip(1),
    "zlib": numcodecs.Zlib(1),
    "lz4": numcodecs.LZ4(),
    "bz2": numcodecs.BZ2(1),
}


@dataclass(frozen=True)
class Source:
    """One array to be made: everything that its bytes depend on."""

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    dtype: str
    codec: str
    fill: str
    zarr_format: int = 3
    big_endian: bool = False
    transposed: bool = False
    dims: bool = True
    missing: float = 0.3
    same: float = 0.2
    seed: int = 0

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The type of the values in memory."""
        return {"record": RECORD, "string": np.dtypes.StringDType(), "bytes": np.dtype("O")}.get(
            self.dtype
        ) or np.dtype(self.dtype)

    @property
    def write_chunk(self) -> tuple[int, ...]:
        """Shape of one stored key."""
        return self.shards or self.chunks

    def dimension_names(self) -> tuple[str, ...] | None:
        """Names of the axes."""
        return tuple("abcd"[: len(self.shape)]) if self.dims else None

    def make(self, path: Path) -> np.ndarray:
        """Write the array with zarr-python and return the values that it holds."""
        with quiet():
            array = zarr.create_array(path, **self._arguments())
            expected = full(self.shape, self._fill_value(), self.numpy_dtype)
            values = self._values()
            rng = np.random.default_rng(self.seed + 1)
            for region in regions(self.shape, self.write_chunk):
                if rng.random() >= self.missing:
                    array[region] = values[region]
                    expected[region] = values[region]
        return expected

    def _arguments(self) -> dict[str, Any]:
        variable = {"string": VariableLengthUTF8(), "bytes": VariableLengthBytes()}
        dtype = variable.get(self.dtype) or (RECORD if self.dtype == "record" else self.dtype)
        common = {
            "shape": self.shape,
            "chunks": self.chunks,
            "fill_value": self._fill_value(),
            # What equals the fill value by number need not do so by bits.
            "config": {"write_empty_chunks": True},
            "attributes": {"unit": "mJy", "nested": {"a": [1, None, "ä"]}},
        }
        if self.zarr_format == 2:
            big = np.dtype(dtype).newbyteorder(">") if self.big_endian else dtype
            return {
                **common,
                "zarr_format": 2,
                "dtype": big,
                "compressors": CODECS_V2[self.codec],
                "order": "F" if self.transposed else "C",
            }
        order = tuple(reversed(range(len(self.shape))))
        serializer = BytesCodec(endian="big") if self.big_endian else "auto"
        return {
            **common,
            "dtype": dtype,
            "shards": self.shards,
            "dimension_names": self.dimension_names(),
            "filters": [TransposeCodec(order=order)] if self.transposed else None,
            "serializer": serializer,
            "compressors": [_v3_codec(c, self.numpy_dtype.itemsize) for c in CODECS_V3[self.codec]] or None,
        }

    def _fill_value(self) -> Any:
        return fill_value(self.dtype, self.fill)

    def _values(self) -> np.ndarray:
        """Return random bits, with stretches of the fill value."""
        rng = np.random.default_rng(self.seed)
        values = random_values(self.dtype, self.shape, rng)
        same = rng.random(self.shape) < self.same
        values[same] = self._fill_value()
        return values


def _v3_codec(codec: Any, itemsize: int) -> Any:
    """Return a codec of zarr-python; a shuffle takes whole elements only."""
    if not isinstance(codec, dict):
        return codec
    config = {"elementsize": itemsize} if codec["name"] == "numcodecs.shuffle" else codec["configuration"]
    return GENERIC_CLASSES[codec["name"]](**config)


def full(shape: tuple[int, ...], values: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """Return an array of one value, or of some."""
    array = np.empty(shape, dtype)
    array[...] = values
    return array


def regions(shape: tuple[int, ...], chunk: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Yield the boxes of a regular grid by counting."""
    for start in itertools.product(*(range(0, n, c) for n, c in zip(shape, chunk, strict=True))):
        yield tuple(slice(a, min(a + c, n)) for a, c, n in zip(start, chunk, shape, strict=True))


def random_values(dtype: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return values of any bits that the type has."""
    size = math.prod(shape)
    if dtype == "record":
        values = np.zeros(size, RECORD)
        values["id"], values["flux"] = rng.integers(-9, 9, size), rng.normal(size=size)
        values["band"] = rng.choice([b"", b"B", b"R\x00x"], size)
        return values.reshape(shape)
    if dtype in ("string", "bytes"):
        words = np.array(["", "a", "ä€𝄞", "long " * 9, "nul\0"], dtype=object)[rng.integers(0, 5 if shape else 4, size)]
        if dtype == "string":
            return words.reshape(shape).astype(np.dtypes.StringDType())
        made = np.empty(size, dtype=object)
        made[:] = [word.encode() for word in words]
        return made.reshape(shape)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype[0] == "U":
        return rng.choice(np.array(["", "x", "äb", "\U0001d11e!?"], dtype=dtype), shape)
    itemsize = np.dtype(dtype).itemsize
    raw = rng.integers(0, 256, size * itemsize, dtype=np.uint8)
    if rng.random() < 0.5:
        raw[rng.random(raw.shape) < 0.5] = 0  # rounder values, that compress
    return raw.view(dtype).reshape(shape)


FILLS = {
    "zero": {"f": 0.0, "c": 0j, "b": False, "i": 0, "u": 0, "M": 0, "m": 0, "S": b"", "U": "", "V": b""},
    "other": {
        "f": 1.5,
        "c": 1 - 2j,
        "b": True,
        "i": -3,
        "u": 7,
        "M": 9,
        "m": -9,
        "S": b"ab",
        "U": "äb",
        "V": b"123456",
    },
    "odd": {"f": float("nan"), "c": complex(float("nan"), -0.0), "M": "NaT", "m": "NaT"},
    "negative zero": {"f": -0.0, "c": complex(-0.0, 0.0)},
}
"""Fill values by name and kind of type; "other" stands in where a kind has none of that name."""


def fill_value(dtype: str, name: str) -> Any:
    """Return the fill value that a name means for a type."""
    if dtype == "record":
        return np.zeros((), RECORD)[()] if name == "zero" else np.array((7, -0.0, b"xyz"), RECORD)[()]
    if dtype in ("string", "bytes"):
        text = "" if name == "zero" else "n/a"
        return text if dtype == "string" else text.encode()
    numpy_dtype = np.dtype(dtype)
    kind = numpy_dtype.kind
    value = FILLS[name].get(kind, FILLS["other"][kind])
    if kind == "V":
        return np.void(value.ljust(numpy_dtype.itemsize, b"\0"))
    if kind in "Mm":
        return np.array(value, dtype="i8" if isinstance(value, int) else dtype).astype(dtype)[()]
    return np.array(value, dtype=dtype)[()]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what zarr-python says while it writes a source; zarrmill runs with warnings as errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def folder() -> Iterator[Path]:
    """Return a folder of one example."""
    path = Path(tempfile.mkdtemp(prefix="zarrmill-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays have one type and the same bits."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind in "OT":
        return a.astype(object).tolist() == b.astype(object).tolist()
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def read(path: Path) -> np.ndarray:
    """Return the values of an array as zarr-python reads them, in the machine's byte order."""
    with quiet():
        array = zarr.open_array(path, mode="r")
        # Of no axes, text comes back as a str, and bytes as an array of type S.
        values = full(array.shape, array[...], array.dtype)
    return values.astype(native(values.dtype))


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type in the machine's byte order."""
    return dtype if dtype.kind in "OTV" else dtype.newbyteorder("=")


shapes = st.one_of(
    st.lists(st.integers(0, 7), max_size=4).map(tuple),
    st.lists(st.integers(1, 30), min_size=1, max_size=2).map(tuple),
)


def chunks_for(shape: tuple[int, ...]) -> st.SearchStrategy[tuple[int, ...]]:
    """Chunk shapes that divide the shape or not, and some that are larger."""
    return st.tuples(*(st.integers(1, max(1, n) + 2) for n in shape))


def multiples_of(chunks: tuple[int, ...]) -> st.SearchStrategy[tuple[int, ...]]:
    """Shards of whole chunks."""
    return st.tuples(*(st.integers(1, 4) for _ in chunks)).map(
        lambda counts: tuple(k * c for k, c in zip(counts, chunks, strict=True))
    )


@st.composite
def sources(draw: st.DrawFn, dtypes: tuple[str, ...] = (*FIXED, *FOREIGN)) -> Source:
    """Any source that zarr-python itself writes and reads back."""
    shape = draw(shapes)
    chunks = draw(chunks_for(shape))
    dtype = draw(st.sampled_from(dtypes))
    zarr_format = draw(st.sampled_from([3, 3, 2]))
    # zarr-python has no shards of types whose fill values it cannot hash.
    sharded = zarr_format == 3 and bool(shape) and dtype not in ("V6", "record") and draw(st.booleans())
    ordered = dtype not in FOREIGN and np.dtype(dtype).itemsize > 1 and dtype[0] not in "SV"
    codecs = set(CODECS_V2 if zarr_format == 2 else CODECS_V3)
    if dtype in ("string", "bytes"):
        codecs -= {"shuffle, zstd"}
    codec = draw(st.sampled_from(sorted(codecs)))
    return Source(
        shape=shape,
        chunks=chunks,
        shards=draw(multiples_of(chunks)) if sharded else None,
        dtype=dtype,
        codec=codec,
        fill=draw(st.sampled_from(sorted(FILLS))),
        zarr_format=zarr_format,
        big_endian=ordered and draw(st.booleans()),
        transposed=len(shape) > 1 and dtype not in ("string", "bytes") and draw(st.booleans()),
        dims=zarr_format == 3 and draw(st.booleans()),
        missing=draw(st.sampled_from([0.0, 0.3, 1.0])),
        seed=draw(st.integers(0, 2**16)),
    )


@dataclass(frozen=True)
class Request:
    """What is asked of a rechunk."""

    chunks: tuple[int, ...] | None
    shards: Any
    codecs: Any = "keep"
    checksum: bool = True
    verify: str = "full"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of zarrmill.rechunk."""
        return {
            "chunks": self.chunks,
            "shards": self.shards,
            "codecs": self.codecs,
            "checksum": self.checksum,
            "verify": self.verify,
        }


@st.composite
def requests(draw: st.DrawFn, source: Source) -> Request:
    """Any request that a source can be asked for."""
    shape = source.shape
    chunks = draw(st.one_of(st.none(), st.tuples(*(st.sampled_from([-1, 1, *range(1, n + 2)]) for n in shape))))
    inner = source.chunks if chunks is None else tuple(
        max(1, n) if c == -1 else min(c, max(1, n)) for c, n in zip(chunks, shape, strict=True)
    )  # fmt: skip
    shards = draw(st.one_of(st.none(), st.just("auto"), multiples_of(inner)))
    named = st.sampled_from(["keep", "keep", "none", "zstd:1", "blosc:lz4:3", ["gzip:1", "crc32c"]])
    return Request(
        chunks=chunks,
        shards=shards,
        codecs=draw(named),
        checksum=draw(st.booleans()),
        verify=draw(st.sampled_from(["full", "full", "written", "none"])),
    )
