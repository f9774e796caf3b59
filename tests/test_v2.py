"""v2.py: the v3 document of a v2 array reads the same stored bytes as zarr-python's v2."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numcodecs import (
    BZ2,
    LZ4,
    LZMA,
    AsType,
    BitRound,
    Blosc,
    Delta,
    FixedScaleOffset,
    Fletcher32,
    GZip,
    PackBits,
    Quantize,
    Shuffle,
    Zlib,
    Zstd,
)
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.dtype import VariableLengthBytes, VariableLengthUTF8
from zarr.storage import MemoryStore

from zarrmill.documents import encode_document
from zarrmill.errors import SourceFormatError
from zarrmill.hierarchy import read_hierarchy
from zarrmill.metadata import numpy_dtype_of, zarr_array
from zarrmill.store import open_store
from zarrmill.v2 import as_v3

pytestmark = [
    # numpy 2.5, where zarr makes a time without a unit while it writes the v2 array.
    pytest.mark.filterwarnings("ignore:The 'generic' unit for NumPy:DeprecationWarning"),
]

BASE = {
    "zarr_format": 2,
    "shape": [4],
    "chunks": [2],
    "dtype": "<f8",
    "order": "C",
    "fill_value": 0.0,
    "filters": None,
    "compressor": None,
}
RECORD = [("id", "<i4"), ("flux", "<f8"), ("band", "S1"), ("when", "<M8[s]")]
BIG_RECORD = [("id", ">i4"), ("flux", ">f8"), ("band", "S1"), ("when", ">M8[s]"), ("name", ">U3")]
MIXED_RECORD = [("id", ">i4"), ("flux", "<f8"), ("name", ">U3")]


def sample(dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return different values of a type."""
    n = int(np.prod(shape))
    numbers = np.arange(1, n + 1)
    dtype = np.dtype(dtype)
    if dtype.names is not None:
        values = np.zeros(n, dtype=dtype)
        for name in dtype.names:
            values[name] = sample(dtype[name], (n,))
    elif dtype.kind in "SU":
        values = np.array([str(k)[-dtype.itemsize :] for k in numbers]).astype(dtype)
    elif dtype.kind == "V":
        values = np.frombuffer(bytes(k % 251 for k in range(n * dtype.itemsize)), dtype=dtype)
    elif dtype.kind == "O":
        values = np.array(["ä" * (k % 3) + str(k) for k in numbers], dtype=object)
    elif dtype.kind == "c":
        values = (numbers + 0.5j * numbers).astype(dtype)
    elif dtype.kind == "b":
        values = numbers % 3 == 0
    else:
        values = (numbers * 3).astype("i8").astype(dtype)
    return values.reshape(shape)


def write_v2(shape: tuple[int, ...] = (5, 7), **kwargs: Any) -> tuple[zarr.Array, MemoryStore]:
    """Return a v2 array of zarr-python, all but its last row of chunks written."""
    store = MemoryStore()
    array = zarr.create(
        shape=shape,
        store=store,
        zarr_format=2,
        **{"chunks": tuple((n + 1) // 2 for n in shape), "fill_value": 0, **kwargs},
    )
    return array, store


def read_json(store: MemoryStore, key: str) -> dict[str, Any]:
    return json.loads(sync(store.get(key, default_buffer_prototype())).to_bytes())


def through_v3(store: MemoryStore) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the values that a v3 array reads from the chunks of a v2 store."""
    document, _ = as_v3(read_json(store, ".zarray"), read_json(store, ".zattrs"))
    return zarr_array(document, open_store(store), "")[...], document


def check_same(array: zarr.Array, store: MemoryStore) -> dict[str, Any]:
    """Check that the v3 document reads what v2 reads, and return it."""
    values, document = through_v3(store)
    expected = array[...]
    assert values.dtype == numpy_dtype_of(document) or values.dtype.kind == "O"
    np.testing.assert_array_equal(values, expected.astype(values.dtype))
    return document


FIXED = [
    "b1", "i1", "u1", "<i2", ">i2", "<u4", ">u4", "<i8", ">u8", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<c8", ">c8",
    "<c16", ">c16", "<M8[s]", ">M8[ns]", "<M8[10s]", "<M8[D]", "<m8[ms]", ">m8[25us]", "S1", "S5", "<U3", ">U3", "V6",
    RECORD, BIG_RECORD, MIXED_RECORD,
]  # fmt: skip


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", FIXED, ids=str)
def test_values_of_each_fixed_type_are_equal(dtype: Any, order: str) -> None:
    """Every type of fixed size reads the same through its v3 document, in either order of axes."""
    # zarr 3.1 cannot compress times in records, and fills text in missing ones with "0".
    compressor, rows = (None, 5) if isinstance(dtype, list) else (GZip(1), 3)
    array, store = write_v2(dtype=dtype, order=order, fill_value=None, compressor=compressor)
    array[:rows] = sample(dtype, (rows, 7))

    check_same(array, store)


CODECS = {
    "none": {"compressor": None},
    "zstd": {"compressor": Zstd(3)},
    "zstd with checksum": {"compressor": Zstd(3, checksum=True)},
    "gzip": {"compressor": GZip(6)},
    "zlib": {"compressor": Zlib(2)},
    "bz2": {"compressor": BZ2(1)},
    "lzma": {"compressor": LZMA(preset=1)},
    "lz4": {"compressor": LZ4()},
    "blosc": {"compressor": Blosc("lz4", 5, Blosc.SHUFFLE)},
    "blosc automatic": {"compressor": Blosc("zstd", 1, Blosc.AUTOSHUFFLE)},
    "blosc bitshuffle": {"compressor": Blosc("blosclz", 9, Blosc.BITSHUFFLE)},
    "delta": {"filters": [Delta("<i4")], "compressor": Zstd(1)},
    "delta, smaller": {"filters": [Delta("<i4", astype="<i2")], "compressor": Blosc()},
    "delta, big-endian": {"filters": [Delta(">i4")], "dtype": ">i4", "compressor": Zstd(1)},
    "delta, big-endian inside": {"filters": [Delta("<i4", astype=">i2")], "compressor": Zstd(1)},
    "scale and offset": {"filters": [FixedScaleOffset(0.5, 2, "<f4", "<i2")], "dtype": "<f4", "compressor": Zstd(1)},
    "scale and offset, big-endian": {"filters": [FixedScaleOffset(0.5, 2, ">f4", ">i2")], "dtype": ">f4"},
    "quantize": {"filters": [Quantize(2, "<f8")], "dtype": "<f8", "compressor": Zstd(1)},
    "quantize, big-endian": {"filters": [Quantize(2, ">f8")], "dtype": ">f8", "compressor": Zstd(1)},
    "quantize, smaller": {"filters": [Quantize(2, "<f8", "<f4")], "dtype": "<f8", "compressor": Zstd(1)},
    "quantize, smaller, big-endian": {"filters": [Quantize(2, ">f8", ">f4")], "dtype": ">f8", "compressor": Zstd(1)},
    "bitround": {"filters": [BitRound(4)], "dtype": "<f4", "compressor": Zstd(1)},
    "astype": {"filters": [AsType("<i2", "<i4")], "compressor": Zstd(1)},
    "astype, big-endian": {"filters": [AsType(">i2", ">i4")], "dtype": ">i4", "compressor": Zstd(1)},
    "packbits": {"filters": [PackBits()], "dtype": "b1", "compressor": Zstd(1)},
    "shuffle": {"filters": [Shuffle(4)], "compressor": Zstd(1)},
    "checksum": {"filters": [Fletcher32()], "compressor": Zlib(1)},
    "several": {"filters": [Delta("<i4"), AsType("<i2", "<i4"), Shuffle(2)], "compressor": Zstd(1)},
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kwargs", CODECS.values(), ids=CODECS)
def test_values_through_each_codec_are_equal(kwargs: dict[str, Any], order: str) -> None:
    """Every compressor and filter that Zarr v3 has reads the same through its v3 document."""
    array, store = write_v2(**{"dtype": "<i4", "order": order, **kwargs})
    array[:3] = sample(array.dtype, (3, 7))

    check_same(array, store)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [VariableLengthUTF8(), VariableLengthBytes()], ids=["text", "bytes"])
def test_values_of_variable_length_are_equal(dtype: Any, order: str) -> None:
    """Strings and bytes of variable length read the same, with a compressor behind their filter."""
    array, store = write_v2(dtype=dtype, order=order, fill_value=None, compressor=Blosc())
    values = sample("O", (3, 7))
    array[:3] = values if dtype == VariableLengthUTF8() else np.vectorize(str.encode, otypes=["O"])(values)

    document = check_same(array, store)

    assert document["codecs"][-1]["configuration"]["typesize"] == 1


@pytest.mark.parametrize("shape", [(), (0,), (0, 3)], ids=str)
@pytest.mark.parametrize("separator", [".", "/"])
def test_arrays_without_axes_or_values_are_equal(shape: tuple[int, ...], separator: str) -> None:
    """Arrays of no axes and of length zero read the same, with either separator of chunk keys."""
    array, store = write_v2(shape, dtype="<f4", chunks=tuple(max(1, n) for n in shape), dimension_separator=separator)
    array[...] = sample("<f4", shape)

    check_same(array, store)


FILLS = {
    "null": (None, "<f4", 0.0),
    "null time": (None, "<M8[s]", -(2**63)),
    "null complex": (None, "<c8", [0.0, 0.0]),
    "null bool": (None, "|b1", False),
    "null bytes": (None, "|S2", ""),
    "null text": (None, "<U2", ""),
    "null raw": (None, "|V2", "AAA="),
    "null record": (None, [["a", ">i2"], ["b", "|S1"]], "AAAA"),
    "number": (7, "<i4", 7),
    "integer for a float": (0, "<f4", 0.0),
    "NaN": ("NaN", "<f4", "NaN"),
    "bare NaN": (float("nan"), "<f4", "NaN"),
    "infinity": ("Infinity", ">f8", "Infinity"),
    "minus infinity": ("-Infinity", "<f2", "-Infinity"),
    "complex": ([1.5, "NaN"], "<c16", [1.5, "NaN"]),
    "largest": (2**64 - 1, "<u8", 2**64 - 1),
    "time": (86400, "<M8[s]", 86400),
    "NaT": ("NaT", "<M8[s]", -(2**63)),
    "unsigned NaT": (2**63, "<M8[s]", -(2**63)),
    "bytes": (base64.b64encode(b"ab").decode(), "|S3", "YWI="),
    "text": ("né", "<U3", "né"),
    "record": (base64.b64encode(b"\1\0").decode(), [["a", "<i2"]], "AQA="),
    "big-endian record": (base64.b64encode(b"\0\1").decode(), [["a", ">i2"]], "AQA="),
}


@pytest.mark.parametrize(("fill", "dtype", "expected"), FILLS.values(), ids=FILLS)
def test_fill_values_keep_their_meaning(fill: Any, dtype: Any, expected: Any) -> None:
    """A v2 fill value becomes the v3 JSON of the same value, null the default of its type."""
    document, notes = as_v3(BASE | {"fill_value": fill, "dtype": dtype}, {})

    assert document["fill_value"] == expected
    assert type(document["fill_value"]) is type(expected)
    assert bool(notes) == (fill is None)


FILLS_READ = {
    "float": ("<f4", np.nan), "big-endian": (">f8", 1.5), "int": ("<i2", -3), "bool": ("b1", True),
    "complex": ("<c16", 1 + 2j), "time": ("<M8[s]", np.datetime64(7, "s")), "span": ("<m8[s]", np.timedelta64(7, "s")),
    "bytes": ("S3", b"ab"), "text": (">U3", "ab"), "string": ("string", "ab"), "raw": ("V2", b"ab"),
}  # fmt: skip


@pytest.mark.parametrize(("dtype", "fill"), FILLS_READ.values(), ids=FILLS_READ)
def test_missing_chunks_read_the_same(dtype: str, fill: Any) -> None:
    """What zarr-python writes as fill value is what the v3 document reads in missing chunks."""
    array, store = write_v2(dtype=dtype, fill_value=fill)

    check_same(array, store)


def test_dimension_names_leave_the_attributes() -> None:
    """xarray's list of dimensions becomes the dimension names, other attributes stay."""
    document, _ = as_v3(BASE, {"units": "m", "_ARRAY_DIMENSIONS": ["x"], "_FillValue": "AAAAAAAAAAA="})

    assert document["dimension_names"] == ["x"]
    assert document["attributes"] == {"units": "m", "_FillValue": "AAAAAAAAAAA="}


def test_a_list_that_does_not_fit_stays_an_attribute() -> None:
    """A list of dimensions of another length is not taken for dimension names."""
    document, _ = as_v3(BASE, {"_ARRAY_DIMENSIONS": ["x", "y"]})

    assert "dimension_names" not in document
    assert document["attributes"] == {"_ARRAY_DIMENSIONS": ["x", "y"]}


@pytest.mark.parametrize(
    ("dtype", "fill", "mask"),
    [("<i4", -1, -1), ("<f4", 1.5, "AAAAAAAA+D8="), ("<f8", "NaN", "AAAAAAAA+H8="), ("|S2", "YWI=", "YWI=")],
    ids=["int", "float", "NaN", "bytes"],
)
def test_the_fill_value_stays_the_missing_value_of_xarray(dtype: str, fill: Any, mask: Any) -> None:
    """In v2 xarray masks the fill value; in v3 an attribute has to say so, and a note says that it is new."""
    document, notes = as_v3(BASE | {"dtype": dtype, "fill_value": fill}, {"_ARRAY_DIMENSIONS": ["x"]})

    assert document["attributes"] == {"_FillValue": mask}
    assert "_FillValue" in notes[0]


def test_xarray_shows_the_same_dataset(tmp_path: Path) -> None:
    """Masked, scaled, text and time variables look the same to xarray from v2 and from the v3 documents."""
    xr = pytest.importorskip("xarray")
    source = xr.Dataset(
        {
            "count": ("x", np.array([1, -1, 3]), {"_FillValue": -1}),
            "flux": ("x", [1.5, np.nan, 2.5]),
            "scaled": ("x", [1.5, np.nan, 2.5]),
            "flag": ("x", [True, False, True]),
            "name": ("x", np.array([b"a", b"bc", b""], dtype="S2")),
        },
        coords={"x": np.arange(3), "when": ("x", np.array([0, 1, 2], dtype="M8[s]").astype("M8[ns]"))},
    )
    encoding = {"scaled": {"dtype": "i2", "scale_factor": 0.5, "_FillValue": -9}}
    source.to_zarr(tmp_path, zarr_format=2, encoding=encoding, consolidated=False)
    before = xr.open_zarr(tmp_path, consolidated=False).load()
    for path, node in read_hierarchy(open_store(tmp_path)).nodes.items():
        (tmp_path / path / "zarr.json").write_bytes(encode_document(node.metadata))
    for old in tmp_path.rglob(".z*"):
        old.unlink()

    after = xr.open_zarr(tmp_path, consolidated=False).load()

    xr.testing.assert_identical(after, before)
    assert after["count"].isnull().sum() == 1


BAD = {
    "pickle": ({"dtype": "|O", "filters": [{"id": "pickle"}]}, "Python objects (filters: pickle)"),
    "json": ({"dtype": "|O", "filters": [{"id": "json2"}]}, "Write it again with zarr-python"),
    "categories": ({"dtype": "|O", "filters": [{"id": "categorize"}]}, "categorize"),
    "objects without filter": ({"dtype": "|O"}, "filters: none"),
    "ragged arrays": ({"dtype": "|O", "filters": [{"id": "vlen-array"}]}, "vlen-array"),
    "unknown type": ({"dtype": "float33"}, "'float33' is no data type"),
    "no type": ({"dtype": None}, "None is no data type"),
    "long double": ({"dtype": "<f16"}, "'<f16' has no counterpart"),
    "empty text": ({"dtype": "<U0"}, "no counterpart"),
    "array in a field": ({"dtype": [["a", "<i4", [2]]]}, "one value per field"),
    "unknown codec": ({"compressor": {"id": "n5_wrapper"}}, "codec 'n5_wrapper' has no counterpart"),
    "codec without id": ({"compressor": {"level": 1}}, "no codec"),
    "filter after bytes": ({"filters": [{"id": "shuffle"}, {"id": "delta"}]}, "'delta' on encoded bytes"),
    "shape": ({"shape": [-1]}, "shape is [-1]"),
    "no chunks": ({"chunks": None}, "chunks is None"),
    "other chunks": ({"chunks": [2, 2]}, "do not divide"),
    "empty chunks": ({"chunks": [0]}, "do not divide"),
    "order": ({"order": "K"}, "order is 'K'"),
    "fill value": ({"fill_value": "seven"}, "fill_value 'seven' is no value of dtype '<f8'"),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD)
def test_what_has_no_v3_form_is_named(change: dict[str, Any], words: str) -> None:
    """Metadata that are no v2 metadata, or that v3 has no name for, are refused with what is wrong."""
    with pytest.raises(SourceFormatError) as caught:
        as_v3(BASE | change, {})

    assert words in str(caught.value)
