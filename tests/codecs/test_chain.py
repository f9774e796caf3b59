"""codecs/chain.py: chunks encoded and decoded as zarr-python does it, for every type, order and codec."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.cases import CODECS_V3, FIXED, random_values, same_bits
from zarrmill.codecs.chain import CodecChain, driver_lacks
from zarrmill.errors import SourceFormatError

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
BIG = {"name": "bytes", "configuration": {"endian": "big"}}


def documents(name, *, typesize=4):
    found = [c if isinstance(c, dict) else c.to_dict() for c in CODECS_V3[name]]
    for codec in found:
        if codec["name"] == "blosc":
            codec["configuration"] |= {"typesize": typesize}
    return found


def chain(*codecs, dtype="f8", chunk=(4, 5)):
    return CodecChain([json.dumps(codec) for codec in codecs], dtype=np.dtype(dtype), chunk=chunk)


def transpose(*order):
    return {"name": "transpose", "configuration": {"order": order}}


@pytest.mark.parametrize("dtype", FIXED)
@pytest.mark.parametrize("serializer", [LITTLE, BIG, {"name": "bytes"}], ids=["little", "big", "default"])
@pytest.mark.parametrize("order", [None, (0, 1, 2), (2, 0, 1)], ids=str)
def test_bytes_are_those_of_numpy(dtype, serializer, order):
    """Without compression a chunk is numpy's own bytes, in the order of bytes and of axes that is asked for."""
    values = random_values(dtype, (2, 3, 4), np.random.default_rng(1))
    front = [] if order is None else [transpose(*order)]
    made = chain(*front, serializer, dtype=dtype, chunk=(2, 3, 4))
    moved = values if order is None else values.transpose(order)
    swapped = moved.astype(moved.dtype.newbyteorder(">")) if serializer is BIG else moved
    encoded = made.encode(values)

    assert bytes(encoded) == swapped.tobytes()
    assert same_bits(np.ascontiguousarray(made.decode(encoded)), values)


@pytest.mark.parametrize("name", CODECS_V3)
@pytest.mark.parametrize("length", [24, 30_000], ids=["small", "large"])
@pytest.mark.parametrize("dtype", ["i4", "M8[s]", "c16", "U3", "S5", "bool", "V6"])
def test_decode_undoes_encode(name, length, dtype):
    """Every codec, below and above the size from which chunks are decoded in place, with memory to decode into."""
    values = random_values(dtype, (2, length // 2), np.random.default_rng(1))
    codecs = documents(name, typesize=min(values.itemsize, 255))
    if name == "shuffle, zstd":
        codecs[0]["configuration"] = {"elementsize": 2 if values.nbytes % 2 == 0 else 1}
    made = chain(LITTLE, *codecs, dtype=dtype, chunk=values.shape)
    encoded = made.encode(values)
    out = np.zeros(values.shape, values.dtype)

    assert same_bits(made.decode(encoded), values)
    assert same_bits(made.decode(memoryview(bytes(encoded)), out), values)


@given(name=st.sampled_from(sorted(CODECS_V3)), cut=st.floats(0, 0.999), large=st.booleans())
def test_a_chunk_cut_short_is_never_taken_for_a_whole_one(name, cut, large):
    """Whatever the codec, fewer bytes are an error and never values of before."""
    values = np.arange(40_000 if large else 40, dtype="i4")
    made = chain(LITTLE, *documents(name), dtype="i4", chunk=values.shape)
    encoded = bytes(made.encode(values))

    with pytest.raises(SourceFormatError):
        made.decode(encoded[: int(cut * len(encoded))], np.zeros_like(values))


@given(name=st.sampled_from(sorted(CODECS_V3)), seed=st.integers(0, 10**6), large=st.booleans())
def test_damaged_bytes_raise_one_kind_of_error(name, seed, large):
    """Flipped bits give an error of ours or, where a codec cannot notice, a chunk of the right shape."""
    values = np.arange(20_000 if large else 40, dtype="i4")
    made = chain(LITTLE, *documents(name), dtype="i4", chunk=values.shape)
    encoded, rng = bytearray(made.encode(values)), np.random.default_rng(seed)
    for at in rng.integers(0, min(len(encoded), 60), 3):
        encoded[at] ^= 1 << rng.integers(0, 8)

    try:
        found = made.decode(bytes(encoded), np.zeros_like(values))
    except SourceFormatError:
        return
    assert (found.shape, found.dtype) == (values.shape, values.dtype)


@pytest.mark.parametrize("name", ["zstd", "blosc shuffle", "gzip", "lz4", "none"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_a_chunk_of_another_size_is_refused(name, large):
    """Whole encoded chunks of another layout are told by their size, even where decoding goes straight to memory."""
    short, whole = (np.zeros(n, "f8") for n in ((1000, 20_000) if large else (10, 100)))
    codecs = (LITTLE, *documents(name, typesize=8))
    encoded = chain(*codecs, chunk=short.shape).encode(short)
    made, out = chain(*codecs, chunk=whole.shape), np.full(whole.shape, 7.0)

    with pytest.raises(
        SourceFormatError, match=f"{short.nbytes} bytes after decoding where a chunk has {whole.nbytes}"
    ):
        made.decode(encoded, out)


def test_checksum_error_keeps_its_message():
    """A wrong checksum is told as such, not as an error of a codec."""
    made = chain(LITTLE, {"name": "zstd", "configuration": {"level": 1}}, {"name": "crc32c"})
    encoded = bytearray(made.encode(np.zeros((4, 5))))
    encoded[3] ^= 1

    with pytest.raises(SourceFormatError, match="checksum"):
        made.decode(bytes(encoded))


def test_encode_takes_views_and_other_byte_orders():
    """Values need not be contiguous, nor in the machine's byte order."""
    values = np.arange(40.0).reshape(5, 8)
    made = chain(LITTLE, {"name": "gzip", "configuration": {"level": 1}})

    for given_ in (values.T[:4, :5], np.asfortranarray(values[:4, :5]), values[:4, :5].astype(">f8")):
        assert same_bits(made.decode(made.encode(given_)).copy(), np.ascontiguousarray(given_, dtype="f8"))


def test_blosc_shuffles_by_the_size_of_a_value():
    """The bytes given to blosc are plain, so the size of a value comes from the metadata: it makes all the
    difference."""
    values = np.arange(10_000, dtype="i8").reshape(100, 100)
    config = {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "blocksize": 0}
    sizes = [
        len(chain(LITTLE, {"name": "blosc", "configuration": config | {"typesize": n}}, dtype="i8", chunk=(100, 100)).encode(values))  # noqa: E501
        for n in (1, 8)
    ]  # fmt: skip

    assert sizes[1] * 3 < sizes[0]


@pytest.mark.parametrize(
    ("codecs", "dtype", "expected"),
    [
        ([LITTLE], "f8", None),
        ([transpose(1, 0), BIG, {"name": "zstd"}, {"name": "crc32c"}], "U4", None),
        ([{"name": "bytes"}, {"name": "numcodecs.lz4"}], "S3", None),
        ([LITTLE], [("a", "i4")], "values of type"),
        ([{"name": "vlen-utf8"}], "O", "values of type object"),
        ([{"name": "numcodecs.delta"}, LITTLE], "i4", "codec numcodecs.delta"),
        ([transpose(1, 0), transpose(1, 0), LITTLE], "i4", "codec transpose"),
        ([LITTLE, {"name": "numcodecs.pcodec"}], "i4", "codec numcodecs.pcodec"),
        ([], "i4", "codec none"),
    ],
    ids=str,
)
def test_what_the_driver_lacks_is_named(codecs, dtype, expected):
    """What goes through zarr-python is decided beforehand, with a reason that people can read."""
    lacks = driver_lacks([json.dumps(codec) for codec in codecs], np.dtype(dtype))

    assert lacks is None if expected is None else lacks.startswith(expected)
