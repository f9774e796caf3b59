"""codecs/shard.py: the index of a shard, against zarr-python's own."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec

from zarrmill.codecs.shard import EMPTY, IndexFormat, empty_index
from zarrmill.errors import SourceFormatError


@given(
    count=st.integers(1, 50),
    checksum=st.booleans(),
    location=st.sampled_from(["start", "end"]),
    big=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_index_survives_storing(count, checksum, location, big, seed):
    """Offsets and lengths come back, in either byte order, and take the bytes that are announced."""
    index_format = IndexFormat(count, checksum=checksum, location=location, big_endian=big)
    index = np.random.default_rng(seed).integers(0, 2**63, (count, 2)).astype(np.uint64)
    index[0] = EMPTY
    stored = index_format.encode(index)

    assert len(stored) == index_format.nbytes
    assert np.array_equal(index_format.decode(stored), index)


def test_empty_index_holds_nothing():
    """Zarr marks a chunk that is not stored with all bits set."""
    assert (empty_index(3) == 2**64 - 1).all()


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("checksum", [True, False], ids=["crc", "plain"])
def test_index_of_zarr_python_is_read(tmp_path, location, endian, checksum):
    """In a shard of zarr-python the index finds each inner chunk, and marks the one that is missing."""
    codecs = [BytesCodec(endian=endian), *([Crc32cCodec()] if checksum else [])]
    codec = ShardingCodec(chunk_shape=(2, 2), codecs=[BytesCodec()], index_codecs=codecs, index_location=location)
    array = zarr.create_array(
        tmp_path / "a", shape=(4, 4), chunks=(4, 4), dtype="u1", serializer=codec, compressors=None
    )
    values = np.arange(1, 17, dtype="u1").reshape(4, 4)
    values[2:, 2:] = 0
    array[...] = values
    data = (tmp_path / "a/c/0/0").read_bytes()

    index_format = IndexFormat.from_codec(codec.to_dict()["configuration"], count=4)
    stored = data[: index_format.nbytes] if location == "start" else data[-index_format.nbytes :]
    index = index_format.decode(stored)

    assert index_format.location == location
    for number, corner in enumerate([(0, 0), (0, 2), (2, 0)]):
        offset, nbytes = index[number].tolist()
        part = values[corner[0] : corner[0] + 2, corner[1] : corner[1] + 2]
        assert data[offset : offset + nbytes] == part.tobytes()
    assert (index[3] == EMPTY).all()


def test_index_that_the_driver_has_not_is_left_to_zarr():
    """A compressed index has no fixed size, so it is none of ours."""
    # As a document: newer zarr-python makes no such codec.
    config = ShardingCodec(chunk_shape=(2, 2)).to_dict()["configuration"]
    config["index_codecs"] = [BytesCodec().to_dict(), GzipCodec().to_dict()]

    assert IndexFormat.from_codec(config, count=4) is None
    assert IndexFormat.from_codec({"index_codecs": []}, count=4) is None


@pytest.mark.parametrize("cut", [0, 1, 17, 67], ids=str)
def test_index_cut_short_is_told(cut):
    """A shard that ends inside its index is damaged, not empty."""
    stored = IndexFormat(4).encode(empty_index(4))

    with pytest.raises(SourceFormatError, match="cut short"):
        IndexFormat(4).decode(stored[:cut])


def test_damaged_index_is_told():
    """The checksum of the index finds a changed offset."""
    stored = bytearray(IndexFormat(4).encode(empty_index(4)))
    stored[9] ^= 4

    with pytest.raises(SourceFormatError, match="checksum"):
        IndexFormat(4).decode(bytes(stored))
