"""execute/bytes_mover.py: encoded chunks moved as they are from one layout to another."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

import zarrmill
from tests.properties.cases import quiet, regions
from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.codecs.chain import CodecChain
from zarrmill.errors import BlockFailedError

VALUES = np.random.default_rng(0).normal(size=(30, 25))


def make(path, *, shards=None, codecs=("zstd",)):
    known = {"zstd": ZstdCodec(level=7), "crc32c": Crc32cCodec()}
    with quiet():
        array = zarr.create_array(
            path,
            shape=(30, 25),
            chunks=(4, 5),
            shards=shards,
            dtype="f8",
            compressors=[known[c] for c in codecs] or None,
            fill_value=0,
        )
        array[:20] = VALUES[:20]


def move(path, shards, **options):
    return zarrmill.rechunk(path / "s", path / "t", chunks=None, shards=shards, sync=False, **options)


def files(path):
    others = ("zarr.json", "zarrmill.json")
    return sorted(p.read_bytes() for p in Path(path).rglob("*") if p.is_file() and p.name not in others)


def test_chunks_are_not_encoded_again(tmp_path, monkeypatch):
    """From files to shards and back the encoded bytes are the same, and no encoder is called."""
    make(tmp_path / "s")
    monkeypatch.setattr(CodecChain, "encode", None)
    monkeypatch.setattr(CodecChain, "encode_bytes", None)
    report = move(tmp_path, (8, 25))
    back = zarrmill.rechunk(tmp_path / "t", tmp_path / "u", chunks=None, shards=None, sync=False)

    assert [a.route for r in (report, back) for a in r.arrays] == ["bytes", "bytes"]
    expected = [data + crc32c(data).to_bytes(4, "little") for data in files(tmp_path / "s")]
    assert files(tmp_path / "u") == sorted(expected)
    assert np.array_equal(zarr.open_array(tmp_path / "u")[:20], VALUES[:20])


@pytest.mark.parametrize(
    ("codecs", "verify"),
    [
        # What is written is read back in the same way whatever the codecs are.
        pytest.param(codecs, verify, marks=[pytest.mark.soak] * (verify == "written" and len(codecs) < 2))
        for codecs in ((), ("zstd",), ("zstd", "crc32c"), ("crc32c",))
        for verify in ("full", "written")
    ],
    ids=str,
)
@pytest.mark.parametrize("before", [None, (8, 5), (32, 25)], ids=str)
@pytest.mark.parametrize("after", [None, (4, 10), (32, 25)], ids=str)
def test_every_layout_reads_equal(tmp_path, before, after, codecs, verify):
    """With and without checksums, from and to any shards, values are the same and missing chunks stay missing."""
    make(tmp_path / "s", shards=before, codecs=codecs)
    report = move(tmp_path, after, verify=verify)
    found = zarr.open_array(tmp_path / "t")

    assert report.arrays[0].route == "bytes"
    assert np.array_equal(found[:20], VALUES[:20])
    assert not found[20:].any()
    assert report.keys_written + report.keys_empty == len(list(regions((30, 25), after or (4, 5))))


def test_missing_chunks_take_no_space(tmp_path):
    """A shard of missing chunks is not written, and one of some has the bytes of those alone."""
    make(tmp_path / "s")
    report = move(tmp_path, (4, 25))

    assert (report.keys_written, report.keys_empty) == (5, 3)
    encoded = sum(os.path.getsize(p) for p in (tmp_path / "s/c").rglob("*") if p.is_file())
    assert report.target_bytes == encoded + 4 * 25 + 5 * (5 * 16 + 4)


@pytest.mark.parametrize("verify", ["full", "none"])
def test_damaged_chunks_are_named(tmp_path, verify):
    """A chunk whose checksum is wrong is told with its array and key, before a new checksum hides it."""
    make(tmp_path / "s", shards=(8, 25), codecs=("zstd", "crc32c"))
    path = tmp_path / "s/c/1/0"
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)

    with pytest.raises(BlockFailedError, match=re.escape("chunk c/1/0 (inner chunk (")) as caught:
        move(tmp_path, (32, 25), verify=verify)
    assert str(tmp_path / "s") in str(caught.value)
    assert not (tmp_path / "t").exists()
