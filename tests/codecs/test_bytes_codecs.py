"""codecs/bytes_codecs.py: each codec against numcodecs and zarr-python, in any thread, and on damaged bytes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numcodecs
import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from zarrmill.codecs.bytes_codecs import GENERIC, checked_payload, crc32c, knows, make
from zarrmill.errors import SourceFormatError

DOCUMENTS = {
    "zstd": {"level": 0},
    "zstd, checksum": {"level": 5, "checksum": True},
    "blosc": {"cname": "zstd", "clevel": 5, "shuffle": "shuffle", "typesize": 8, "blocksize": 0},
    "blosc, bits": {"cname": "lz4", "clevel": 1, "shuffle": "bitshuffle", "typesize": 2, "blocksize": 0},
    "gzip": {"level": 1},
    "crc32c": None,
    **{f"numcodecs.{name}": {"elementsize": 8} if name == "shuffle" else {} for name in sorted(GENERIC)},
}
ORACLES = {
    "zstd": numcodecs.Zstd(1),
    "zstd, checksum": numcodecs.Zstd(1, checksum=True),
    "blosc": numcodecs.Blosc("zstd"),
    "blosc, bits": numcodecs.Blosc("lz4"),
    "gzip": numcodecs.GZip(1),
    "crc32c": numcodecs.get_codec({"id": "crc32c", "location": "end"}),
    **{f"numcodecs.{n}": numcodecs.get_codec({"id": n, "elementsize": 8} if n == "shuffle" else {"id": n}) for n in GENERIC},  # noqa: E501
}  # fmt: skip
SMALL, LARGE = 800, 200_000


def codec_of(name):
    return make({"name": name.split(",")[0], "configuration": DOCUMENTS[name]})


def data_of(nbytes, seed=0):
    """Return bytes that compress, of a length that every codec takes."""
    return np.random.default_rng(seed).integers(0, 50, nbytes, dtype="u1").tobytes()


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("nbytes", [8, SMALL, LARGE], ids=str)
def test_decode_undoes_encode(name, nbytes):
    """What goes in comes out, whether or not the size is known beforehand, from bytes and from memoryviews."""
    codec, data = codec_of(name), data_of(nbytes)
    encoded = codec.encode(memoryview(data))

    assert bytes(codec.decode(encoded, nbytes)) == data
    assert bytes(codec.decode(memoryview(bytes(encoded)), 0)) == data


@pytest.mark.parametrize("name", DOCUMENTS)
def test_numcodecs_reads_what_is_encoded_and_the_other_way_round(name):
    """The bytes are those of the public format: numcodecs decodes ours, and we decode numcodecs'."""
    codec, oracle, data = codec_of(name), ORACLES[name], data_of(SMALL)

    assert bytes(oracle.decode(bytes(codec.encode(data)))) == data
    assert bytes(codec.decode(bytes(oracle.encode(np.frombuffer(data, "u1"))), SMALL)) == data


@pytest.mark.parametrize("name", ["zstd", "blosc"])
@pytest.mark.parametrize("nbytes", [SMALL, LARGE], ids=str)
def test_decode_into_memory_of_the_right_size_only(name, nbytes):
    """Memory is filled whole or the caller is told to decode otherwise: never half filled, never overrun."""
    codec, data = codec_of(name), data_of(nbytes)
    encoded = codec.encode(data)
    out = np.full(nbytes, 7, "u1")

    assert codec.decode_into(encoded, out) is True
    assert out.tobytes() == data
    for other in (nbytes - 8, nbytes + 8):
        out = np.full(other, 7, "u1")
        assert codec.decode_into(encoded, out) is False
        assert (out == 7).all()


@pytest.mark.parametrize("name", ["zstd", "blosc", "blosc, bits"])
def test_many_are_decoded_together(name):
    """Each into its row; where one is of another size, or damaged, the caller is told to decode them one by one."""
    codec = codec_of(name)
    if codec.decode_many is None:
        pytest.skip("this build of zstandard decodes one by one")
    data = [data_of(SMALL, seed) for seed in range(5)]
    encoded = [bytes(codec.encode(each)) for each in data]
    rows = np.zeros((5, SMALL), "u1")

    assert codec.decode_many([memoryview(each) for each in encoded], rows)
    assert [row.tobytes() for row in rows] == data
    longer = bytes(codec.encode(data_of(SMALL + 8)))
    assert not codec.decode_many([*encoded[:4], longer], rows)
    damaged = bytearray(encoded[2])
    damaged[len(damaged) // 2 :] = bytes(len(damaged) - len(damaged) // 2)
    assert not codec.decode_many([*encoded[:4], bytes(damaged)], rows) or rows[4].tobytes() != data[2]


def test_many_of_blosc_that_are_cut_short_are_told():
    """The size in the header is more than there is."""
    codec = codec_of("blosc")
    encoded = [bytes(codec.encode(data_of(SMALL, seed))) for seed in range(2)]
    with pytest.raises(SourceFormatError, match="cut short"):
        codec.decode_many([encoded[0], encoded[1][:-5]], np.zeros((2, SMALL), "u1"))


@pytest.mark.parametrize("nbytes", [SMALL, LARGE], ids=str)
def test_zstd_reads_frames_that_do_not_tell_their_size(nbytes):
    """Writers that stream leave the size out of the frame."""
    codec, data = codec_of("zstd"), data_of(nbytes)
    writer = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    encoded = writer.compress(data) + writer.flush()

    assert codec.decode(encoded, nbytes) == data
    assert codec.decode(encoded, 0) == data
    assert codec.decode_into(encoded, np.empty(nbytes, "u1")) is False


@pytest.mark.parametrize("nbytes", [SMALL, LARGE], ids=str)
def test_zstd_reads_several_frames(nbytes):
    """Frames may follow each other."""
    codec, data = codec_of("zstd"), data_of(nbytes)
    encoded = b"".join(zstandard.compress(part) for part in (data[: nbytes // 4], data[nbytes // 4 :]))

    assert codec.decode(encoded, nbytes) == data


def test_zstd_refuses_a_frame_that_is_larger_than_a_chunk():
    """A damaged size must not ask for memory without bound."""
    with pytest.raises(SourceFormatError, match="1000 bytes where 800 are expected"):
        codec_of("zstd").decode(zstandard.compress(bytes(1000)), 800)


def test_crc32c_of_the_standard_example():
    """RFC 3720: the check value of the digits is e3069283."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == crc32c(memoryview(b"")) == 0


@given(data=st.binary(max_size=100), cut=st.integers(0, 100))
def test_crc32c_goes_on_where_it_stopped(data, cut):
    """The checksum of parts is that of the whole, from bytes, bytearrays and memoryviews."""
    first, second = bytearray(data[:cut]), memoryview(data)[cut:]

    assert crc32c(second, crc32c(first)) == crc32c(data)


@given(data=st.binary(min_size=1, max_size=60), at=st.integers(0, 63), bit=st.integers(0, 7))
def test_checksum_finds_every_flipped_bit(data, at, bit):
    """One flipped bit in a chunk or in its checksum is told."""
    stored = bytearray(make({"name": "crc32c"}).encode(data))
    assert bytes(checked_payload(stored)) == data
    stored[at % len(stored)] ^= 1 << bit

    with pytest.raises(SourceFormatError, match="instead of"):
        checked_payload(stored)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_codecs_serve_many_threads_at_once(name):
    """One codec in eight threads gives each its own data back."""
    codec = codec_of(name)

    def round_trip(seed):
        data = data_of(5000, seed)
        return bytes(codec.decode(bytes(codec.encode(data)), 5000)) == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(round_trip, range(64)))


@pytest.mark.parametrize("name", ["numcodecs.zfpy", "numcodecs.delta", "zlib", "lz4", "bytes"])
def test_others_are_not_known(name):
    """Filters of arrays and names of other formats are left to zarr-python."""
    assert not knows(name)
