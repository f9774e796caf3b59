"""metadata.py: layouts, target documents and arrays, checked against what zarr-python writes and reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numcodecs import AsType, Delta, FixedScaleOffset, PackBits, Quantize, Shuffle, Zstd
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec, TransposeCodec, ZstdCodec
from zarr.dtype import VariableLengthBytes
from zarr.storage import LocalStore, MemoryStore

from zarrmill.documents import encode_document
from zarrmill.errors import InvalidInputError, SourceFormatError
from zarrmill.hierarchy import Node, read_hierarchy
from zarrmill.layout import ArrayLayout
from zarrmill.metadata import (
    codecs_from_request,
    fill_value_of,
    layout_of,
    numpy_dtype_of,
    shards_lack,
    target_document,
    zarr_array,
)
from zarrmill.store import open_store

pytestmark = [
    # zarr-python, where it writes types or codecs that have no specification of their own yet.
    pytest.mark.filterwarnings("ignore:The data type:zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3:zarr.errors.ZarrUserWarning"),
]

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}
CRC = {"name": "crc32c"}
ZSTD_JSON = '{"configuration":{"checksum":false,"level":0},"name":"zstd"}'
LITTLE_JSON = '{"configuration":{"endian":"little"},"name":"bytes"}'


def make(**kwargs: Any) -> Node:
    """Return the node of an array that zarr-python makes."""
    store = MemoryStore()
    zarr.create_array(store, **{"shape": (8, 6), "chunks": (4, 3), "dtype": "f8", **kwargs})
    return read_hierarchy(open_store(store)).nodes[""]


def change(node: Node, **metadata: Any) -> Node:
    return Node(node.path, node.kind, node.metadata | metadata, node.zarr_format)


def names_of(document: dict[str, Any]) -> list[str]:
    return [codec["name"] for codec in document["codecs"]]


def inner_of(document: dict[str, Any]) -> dict[str, Any]:
    (codec,) = document["codecs"]
    return codec["configuration"]


def test_layout_of_chunks() -> None:
    """Without shards, the chunk grid is that of the smallest unit, and codecs are compact JSON."""
    layout = layout_of(make(dimension_names=("x", None)))

    assert layout == ArrayLayout((8, 6), "float64", 8, (4, 3), None, ("x", None), (LITTLE_JSON, ZSTD_JSON))


def test_layout_of_shards() -> None:
    """With shards, the chunk grid is that of the stored keys, and the codecs are those of inner chunks."""
    layout = layout_of(make(shards=(8, 6)))

    assert layout == ArrayLayout((8, 6), "float64", 8, (4, 3), (8, 6), None, (LITTLE_JSON, ZSTD_JSON))


def test_layout_of_shards_in_shards() -> None:
    """The outermost shards count; the others are a codec of their chunks."""
    nested = ShardingCodec(chunk_shape=(4, 3), codecs=[ShardingCodec(chunk_shape=(2, 1), codecs=[BytesCodec()])])
    layout = layout_of(make(chunks=(8, 6), serializer=nested, compressors=None))

    assert (layout.chunks, layout.shards) == ((4, 3), (8, 6))
    assert [json.loads(codec)["name"] for codec in layout.codecs] == ["sharding_indexed"]


def test_layout_of_shards_behind_another_codec() -> None:
    """Shards of transposed values cannot be read in parts, so that they are no more than a codec."""
    node = make(shards=(6, 8), chunks=(3, 4), shape=(6, 8))
    transpose = {"name": "transpose", "configuration": {"order": [1, 0]}}
    grid = {"name": "regular", "configuration": {"chunk_shape": [8, 6]}}
    layout = layout_of(change(node, codecs=[transpose, *node.metadata["codecs"]], shape=[8, 6], chunk_grid=grid))

    assert (layout.chunks, layout.shards) == ((8, 6), None)
    assert [json.loads(codec)["name"] for codec in layout.codecs] == ["transpose", "sharding_indexed"]


@pytest.mark.parametrize("shape", [(), (0,), (0, 3)], ids=str)
def test_layout_without_axes_or_values(shape: tuple[int, ...]) -> None:
    """Arrays of no axes and of length zero have chunks of at least one."""
    node = make(shape=shape, chunks=tuple(max(1, n) for n in shape))
    empty = {"name": "regular", "configuration": {"chunk_shape": list(shape)}}

    assert layout_of(node) == layout_of(change(node, chunk_grid=empty))
    assert layout_of(node).chunks == tuple(max(1, n) for n in shape)


DTYPES = {
    "bool": "bool", "int8": "int8", "uint16": "uint16", "int64": "int64", "float16": "float16", "float32": "float32",
    "complex64": "complex64", "complex128": "complex128", "M8[s]": "datetime64[s]", "M8[10ms]": "datetime64[10ms]",
    "m8[ns]": "timedelta64[ns]", "U8": "<U8", "S5": "|S5", "V6": "|V6", str: "string", VariableLengthBytes(): "bytes",
}  # fmt: skip


@pytest.mark.parametrize(("dtype", "name"), DTYPES.items(), ids=DTYPES.values())
def test_types_have_numpy_names(dtype: Any, name: str) -> None:
    """The name of a type is numpy's, "string" and "bytes" for those of variable length."""
    layout = layout_of(make(dtype=dtype), itemsize_of_variable=17)

    assert layout.dtype == name
    assert layout.itemsize == (17 if name in ("string", "bytes") else np.dtype(name).itemsize)


def test_records_are_named_by_their_fields() -> None:
    """The name of a structured type is the text of numpy's description."""
    layout = layout_of(make(dtype=[("a", "i4"), ("b", "S3")]))

    assert layout.dtype == "[('a', '<i4'), ('b', '|S3')]"
    assert layout.itemsize == 7


BROKEN = {
    "rectilinear": ({"chunk_grid": {"name": "rectilinear", "configuration": {}}}, "the chunk grid is 'rectilinear'"),
    "unknown type": ({"data_type": "bfloat17"}, "data type 'bfloat17' is not known to zarr"),
    "other axes": ({"shape": [8]}, r"chunks \[4, 3\] do not divide shape \[8\]"),
    "empty chunks": ({"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 3]}}}, "do not divide"),
    "transformers": ({"storage_transformers": [{"name": "x"}]}, "storage transformers"),
    "codec without name": ({"codecs": [{"configuration": {}}]}, "malformed codecs"),
    "shards of parts": (
        {"codecs": [{"name": "sharding_indexed", "configuration": {"chunk_shape": [3, 3], "codecs": [LITTLE]}}]},
        r"shards \(4, 3\) are not whole chunks \(3, 3\)",
    ),
}


@pytest.mark.parametrize(("metadata", "words"), BROKEN.values(), ids=BROKEN)
def test_what_has_no_layout_is_named(metadata: dict[str, Any], words: str) -> None:
    """Documents that cannot be read say which array and why."""
    with pytest.raises(SourceFormatError, match=f"^the root array: .*{words}"):
        layout_of(change(make(), **metadata))


FLOATS = ArrayLayout((9,), "float64", 8, (3,))
REQUESTS = {
    "zstd": [ZSTD],
    "zstd:-5": [{"name": "zstd", "configuration": {"level": -5, "checksum": False}}],
    "gzip:1": [{"name": "gzip", "configuration": {"level": 1}}],
    "zlib": [{"name": "numcodecs.zlib", "configuration": {"level": 1}}],
    "bz2:9": [{"name": "numcodecs.bz2", "configuration": {"level": 9}}],
    "lz4": [{"name": "numcodecs.lz4", "configuration": {"acceleration": 1}}],
    "blosc": [("zstd", 5, "shuffle")],
    "blosc:lz4": [("lz4", 5, "shuffle")],
    "blosc:zstd:3:bitshuffle": [("zstd", 3, "bitshuffle")],
    "none": [],
    "crc32c": [CRC],
}


def blosc(name: str, level: int, shuffle: str, *, typesize: int = 8) -> dict[str, Any]:
    config = {"typesize": typesize, "cname": name, "clevel": level, "shuffle": shuffle, "blocksize": 0}
    return {"name": "blosc", "configuration": config}


@pytest.mark.parametrize(("request_", "codecs"), REQUESTS.items(), ids=REQUESTS)
def test_codecs_are_asked_for_by_name(request_: str, codecs: list[Any]) -> None:
    """A short text becomes the codecs of a document, which zarr-python can write with."""
    expected = [blosc(*codec) if isinstance(codec, tuple) else codec for codec in codecs]
    made = codecs_from_request(request_, FLOATS)

    assert made == [LITTLE, *expected]
    node = make(shape=(9,), chunks=(3,))
    check_round_trip(node, layout_of(node), np.arange(9.0), codecs=made)


def test_several_codecs_follow_each_other() -> None:
    """A list of names is applied in its order."""
    assert codecs_from_request(["zstd", "crc32c"], FLOATS) == [LITTLE, ZSTD, CRC]


@pytest.mark.parametrize("request_", [None, "keep"], ids=str)
def test_keep_asks_for_nothing(request_: str | None) -> None:
    """Keeping the codecs of the source is not a choice of codecs."""
    assert codecs_from_request(request_, FLOATS) is None


@pytest.mark.parametrize(
    ("dtype", "codec"),
    [("string", "vlen-utf8"), ("bytes", "vlen-bytes"), ("int8", "bytes"), ("|S5", "bytes"), ("bool", "bytes")],
    ids=["string", "bytes", "int8", "S5", "bool"],
)
def test_the_first_codec_suits_the_type(dtype: str, codec: str) -> None:
    """Values of variable length have their own codec, single bytes no order."""
    first, second = codecs_from_request("blosc", ArrayLayout((9,), dtype, 1, (3,)))

    assert first["name"] == codec
    assert not first.get("configuration")
    assert second == blosc("zstd", 5, "bitshuffle", typesize=1)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("zst", "'zst' is not known. Use one of: keep, none, zstd"),
        ("zstd:x", "'x' is not a number from -131072 to 22"),
        ("zstd:3:4", "'zstd:3:4' is not known"),
        ("gzip:10", "'10' is not a number from 0 to 9"),
        ("blosc:zst", "'zst' is not one of blosclz, lz4"),
        ("blosc:zstd:5:shufle", "'shufle' is not one of noshuffle"),
        ("blosc:zstd:5:shuffle:8", "is not known"),
        ("", "'' is not known"),
        (["zstd", "keep"], "'keep' is not known"),
    ],
    ids=str,
)
def test_wrong_codecs_list_the_right_ones(request_: Any, words: str) -> None:
    """Names and numbers that do not exist are refused with those that do."""
    with pytest.raises(InvalidInputError) as caught:
        codecs_from_request(request_, FLOATS)

    assert words in str(caught.value)


def check_round_trip(node: Node, layout: ArrayLayout, values: np.ndarray, *, codecs: Any = None) -> dict[str, Any]:
    """Check that a target written through its document reads equal once the document is there, and return it."""
    document = target_document(node, layout, codecs=codecs, checksum=True)
    store = MemoryStore()
    array = zarr_array(document, open_store(store, read_only=False), "deep/array")
    array[...] = values
    assert not any(key.endswith(".json") for key in store._store_dict)
    buffer = zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(encode_document(document))
    store._store_dict["deep/array/zarr.json"] = buffer
    opened = zarr.open_array(store, path="deep/array")
    assert opened.chunks == layout.chunks
    assert opened.shards == layout.shards
    np.testing.assert_array_equal(opened[...], values)
    return document


def readable(node: Node, shards: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the shards that the installed zarr can read for an array."""
    return None if shards_lack(node.metadata) else shards


def test_shards_that_zarr_cannot_read_are_known() -> None:
    """Of numbers every zarr reads shards; of records it is asked whether it fails, which is what the answer says."""
    node = make(dtype="V3")
    layout = replace_layout(node, shards=(8, 6))

    assert shards_lack(make().metadata) is None
    if shards_lack(node.metadata) is None:
        check_round_trip(node, layout, np.zeros((8, 6), "V3"))
    else:
        assert "cannot read shards of |V3" in shards_lack(node.metadata)
        with pytest.raises(TypeError, match="unhashable"):
            check_round_trip(node, layout, np.frombuffer(bytes(range(144)), "V3").reshape(8, 6))


LAYOUTS = {"chunks": ((3, 6), None), "shards": ((3, 2), (6, 6))}


@pytest.mark.parametrize(("chunks", "shards"), LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", [*DTYPES, ((("a", "i4"), ("b", "S3")))], ids=str)
def test_targets_of_every_type_read_equal(dtype: Any, chunks: Any, shards: Any) -> None:
    """What is written through a target's document without any zarr.json is what zarr-python reads with it."""
    dtype = list(dtype) if isinstance(dtype, tuple) else dtype
    node = make(dtype=dtype)
    values = np.arange(48).reshape(8, 6).astype(str if dtype is str else "i8")
    if isinstance(dtype, VariableLengthBytes):
        values = np.vectorize(lambda v: str(v).encode(), otypes=["O"])(values)
    elif isinstance(dtype, list):
        values = np.array([[(v, str(v)) for v in row] for row in values], dtype=dtype)
    elif np.dtype(numpy_dtype_of(node.metadata)).kind == "V":
        values = np.frombuffer(bytes(range(48)) * 6, dtype=dtype).reshape(8, 6)
    else:
        values = values.astype(numpy_dtype_of(node.metadata))
    layout = ArrayLayout((8, 6), "", 1, chunks, shards and readable(node, shards))

    document = check_round_trip(node, layout, values)

    assert document["data_type"] == node.metadata["data_type"]


FILTERS = {
    "delta": ("<i4", [Delta("<i4", astype="<i2")]),
    "delta, big-endian": (">i4", [Delta(">i4")]),
    "scale and offset": (">f4", [FixedScaleOffset(0, 2, ">f4", ">i2")]),
    "quantize": (">f8", [Quantize(9, ">f8")]),
    "quantize, smaller": ("<f8", [Quantize(3, "<f8", "<f4")]),
    "astype": (">i4", [AsType(">i2", ">i4")]),
    "packbits": ("b1", [PackBits()]),
    "shuffle": ("<i4", [Shuffle(4)]),
    "none": (">u2", None),
    "record": ([("a", ">i4"), ("b", "<f8")], None),
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("chunks", "shards"), LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(("dtype", "filters"), FILTERS.values(), ids=FILTERS)
def test_kept_codecs_of_v2_write_what_they_read(dtype: Any, filters: Any, chunks: Any, shards: Any, order: str) -> None:
    """The codecs of a v2 array serve its v3 target, little-endian and in C order."""
    node = make(dtype=dtype, filters=filters, compressors=Zstd(1), zarr_format=2, order=order)
    values = np.arange(48).reshape(8, 6).astype(numpy_dtype_of(node.metadata))
    layout = ArrayLayout((8, 6), "", 1, chunks, shards and readable(node, shards))

    document = check_round_trip(node, layout, values)

    assert "transpose" not in json.dumps(document)
    assert '">' not in json.dumps(document)
    assert "big" not in json.dumps(document)


def test_targets_without_shards_avoid_directories() -> None:
    """Chunks on a local disk lie beside each other; a document with shards or no axes has the default separator."""
    node = make()
    flat, sharded = (replace_layout(node, shards=shards) for shards in (None, (8, 6)))
    scalar = make(shape=(), chunks=())

    assert separator_of(target_document(node, flat, codecs=None, checksum=True)) == "."
    assert separator_of(target_document(node, sharded, codecs=None, checksum=True)) == "/"
    assert separator_of(target_document(scalar, layout_of(scalar), codecs=None, checksum=True)) == "/"


def separator_of(document: dict[str, Any]) -> str:
    return document["chunk_key_encoding"]["configuration"]["separator"]


def replace_layout(node: Node, **changes: Any) -> ArrayLayout:
    old = layout_of(node)
    fields = {key: getattr(old, key) for key in ("shape", "dtype", "itemsize", "chunks", "shards")}
    return ArrayLayout(**(fields | changes))


def test_what_names_the_values_stays() -> None:
    """Type, fill value, attributes and dimension names of a target are those of the source."""
    node = make(fill_value=np.nan, attributes={"units": "m", "n": [1]}, dimension_names=("x", "y"), compressors=None)
    document = target_document(node, replace_layout(node, chunks=(8, 1)), codecs=None, checksum=True)

    changed = {"chunk_grid", "chunk_key_encoding"}
    assert {k: v for k, v in document.items() if k not in changed} == {
        k: v for k, v in node.metadata.items() if k not in changed
    }
    document["attributes"]["n"].append(2)
    assert node.metadata["attributes"]["n"] == [1]


@pytest.mark.parametrize("checksum", [True, False], ids=["with", "without"])
def test_shards_get_a_checksum(checksum: bool) -> None:
    """The codecs of inner chunks are those of the source, with a checksum behind them."""
    node = make()
    document = target_document(node, replace_layout(node, shards=(8, 6)), codecs=None, checksum=checksum)

    assert document["chunk_grid"]["configuration"]["chunk_shape"] == [8, 6]
    assert inner_of(document) == {
        "chunk_shape": [4, 3],
        "codecs": [LITTLE, ZSTD, CRC] if checksum else [LITTLE, ZSTD],
        "index_codecs": [LITTLE, CRC],
        "index_location": "end",
    }


def test_a_checksum_is_not_added_twice() -> None:
    """Codecs that end in the checksum already, kept or chosen, stay as they are."""
    kept = make(compressors=[ZstdCodec(), Crc32cCodec()])
    layout = replace_layout(kept, shards=(8, 6))

    for codecs in (None, [LITTLE, ZSTD, CRC]):
        document = target_document(kept, layout, codecs=codecs, checksum=True)
        assert inner_of(document)["codecs"] == [LITTLE, ZSTD, CRC]


def test_shards_are_taken_apart() -> None:
    """A target without shards has the codecs of the inner chunks, however deep they lay."""
    nested = ShardingCodec(
        chunk_shape=(4, 3), codecs=[ShardingCodec(chunk_shape=(2, 1), codecs=[BytesCodec(), ZstdCodec()])]
    )
    node = make(chunks=(8, 6), serializer=nested, compressors=None)

    document = target_document(node, replace_layout(node, shards=None), codecs=None, checksum=True)

    assert document["codecs"] == [LITTLE, ZSTD]


def test_values_become_little_endian() -> None:
    """Big-endian values are written in the order that every machine and the driver have."""
    node = make(serializer=BytesCodec(endian="big"))

    assert json.loads(layout_of(node).codecs[0])["configuration"] == {"endian": "big"}
    assert target_document(node, layout_of(node), codecs=None, checksum=True)["codecs"] == [LITTLE, ZSTD]


def test_chosen_orders_of_axes_stay() -> None:
    """A transpose codec of Zarr v3 was somebody's choice."""
    node = make(filters=[TransposeCodec(order=(1, 0))])

    assert names_of(check_round_trip(node, layout_of(node), np.arange(48.0).reshape(8, 6))) == [
        "transpose",
        "bytes",
        "zstd",
    ]


def test_filters_are_not_given_transposed_values() -> None:
    """In front of a filter of numcodecs, zarr 3.1 writes transposed values in the wrong order."""
    delta = {"name": "numcodecs.delta", "configuration": {"dtype": "<f8"}}
    transpose = {"name": "transpose", "configuration": {"order": [1, 0]}}
    node = make()
    node = change(node, codecs=[transpose, delta, *node.metadata["codecs"]])

    assert names_of(check_round_trip(node, layout_of(node), np.arange(48.0).reshape(8, 6)))[0] == "numcodecs.delta"


def test_blosc_keeps_the_size_of_its_values() -> None:
    """A kept blosc codec shuffles by the size that its source had; where that was left to zarr, by that of a value."""
    node = make(compressors=BloscCodec(typesize=2, cname="lz4", shuffle="bitshuffle"))
    open_end = {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "blocksize": 0}}

    assert target_document(node, layout_of(node), codecs=None, checksum=True)["codecs"][1] == node.metadata["codecs"][1]
    left_open = change(node, codecs=[LITTLE, open_end])
    assert json.loads(layout_of(left_open).codecs[1]) == blosc("lz4", 5, "shuffle")
    assert target_document(left_open, layout_of(node), codecs=None, checksum=True)["codecs"][1] == blosc(
        "lz4", 5, "shuffle"
    )


def test_missing_chunks_read_as_fill_value(tmp_path: Path) -> None:
    """An array needs nothing to be there, and reading writes nothing."""
    document = make(fill_value=7).metadata

    array = zarr_array(document, open_store(tmp_path), "not/there")

    assert (array[...] == 7).all()
    assert list(tmp_path.iterdir()) == []
    assert isinstance(array.store, LocalStore)


def test_documents_that_zarr_rejects_are_named(tmp_path: Path) -> None:
    """A codec that the installed zarr does not have is an error about the array and that version."""
    document = make().metadata | {"codecs": [LITTLE, {"name": "zstd9", "configuration": {}}]}

    with pytest.raises(SourceFormatError, match=r"^flux: zarr 3\.\d+\.\d+ cannot read the metadata: .*zstd9"):
        zarr_array(document, open_store(tmp_path), "flux")


FILL_VALUES = [
    ("bool", True), ("i2", -3), ("u8", 2**64 - 1), ("f2", np.nan), ("f4", -np.inf), ("f8", -0.0), ("c8", 1 - 2j),
    ("M8[s]", np.datetime64(9, "s")), ("m8[ns]", np.timedelta64("NaT", "ns")), ("U3", "né"), ("S3", b"a"), (str, "né"),
    ("V3", b"abc"), (VariableLengthBytes(), b"ab"), ([("a", "i4"), ("b", "f8")], (3, 0.5)),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "value"), FILL_VALUES, ids=str)
def test_fill_values_are_those_of_zarr(dtype: Any, value: Any) -> None:
    """The value of missing chunks is the one that zarr-python fills with, bit for bit."""
    value = np.array(value, dtype=dtype)[()] if isinstance(dtype, list) else value
    store = MemoryStore()
    array = zarr.create_array(store, shape=(2,), dtype=dtype, fill_value=value)
    document = read_hierarchy(open_store(store)).nodes[""].metadata

    fill_value = fill_value_of(document)

    assert fill_value.shape == ()
    assert fill_value.dtype == numpy_dtype_of(document) == array.dtype
    filled = array[...]
    if fill_value.dtype.kind in "OT":
        assert fill_value[()] == filled[0] == value
    else:
        assert fill_value.tobytes() == filled[:1].astype(fill_value.dtype).tobytes()


def test_fill_values_that_do_not_suit_are_named() -> None:
    """A fill value of another type is an error about both."""
    with pytest.raises(SourceFormatError, match="fill_value 'seven' is no int32"):
        fill_value_of({"data_type": "int32", "fill_value": "seven"})
    with pytest.raises(SourceFormatError, match="fill_value None is no float32"):
        fill_value_of({"data_type": "float32"})


def test_records_without_byte_order_are_read_silently(tmp_path: Path) -> None:
    """zarr 3.1 wrote structured arrays without a byte order, of which later versions warn; a target has one."""
    node = make(dtype=[("a", "i4"), ("b", "f8")])
    fields = {"name": "structured", "configuration": {"fields": [["a", "int32"], ["b", "float64"]]}}
    node = change(node, data_type=fields, fill_value="AAAAAAAAAAAAAAAA", codecs=[{"name": "bytes"}, ZSTD])

    assert zarr_array(node.metadata, open_store(tmp_path), "a").shape == (8, 6)
    assert target_document(node, layout_of(node), codecs=None, checksum=True)["codecs"] == [LITTLE, ZSTD]
    assert layout_of(node).codecs[0] == LITTLE_JSON


def test_times_without_unit_are_read_silently(tmp_path: Path) -> None:
    """numpy 2.5 warns of times without a unit, which is nothing that the reader of a store can help."""
    node = make(dtype="f8")
    times = {"name": "numpy.timedelta64", "configuration": {"unit": "generic", "scale_factor": 1}}
    document = node.metadata | {"data_type": times, "fill_value": 7}

    assert fill_value_of(document).astype("i8") == 7
    assert zarr_array(document, open_store(tmp_path), "a").shape == (8, 6)
