"""execute/written_check.py: a block that did not write what it read is told, with the keys in question."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from tests.properties.cases import quiet
from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.digests import stored_arrays
from zarrmill.errors import VerifyError
from zarrmill.execute.writers import Written
from zarrmill.execute.written_check import compare_checksums, compare_shares, digest_written, stored_crc32c
from zarrmill.grid import Region
from zarrmill.hierarchy import read_hierarchy
from zarrmill.store import open_store

POOL = ThreadPoolExecutor(1)
WHOLE = Region((0,), (10,))


@pytest.fixture
def target(tmp_path):
    with quiet():
        array = zarr.create_array(tmp_path / "t", shape=(10,), chunks=(5,), dtype="f8", fill_value=0)
        array[:] = np.arange(10)
    opened = open_store(tmp_path / "t")
    return stored_arrays(opened, read_hierarchy(opened))[""]


def test_share_of_what_is_stored_is_that_of_the_values(target, tmp_path):
    """It changes with a value, and an equal one passes."""
    share = digest_written(target, WHOLE, POOL, 1)
    compare_shares(target, WHOLE, {"source_share": share.to_json(), "target_share": share.to_json()})
    zarr.open_array(tmp_path / "t")[3] = -1.0
    other = digest_written(target, WHOLE, POOL, 1)

    with pytest.raises(VerifyError, match=r"c/0 to c/1 has the digest share"):
        compare_shares(target, WHOLE, {"source_share": share.to_json(), "target_share": other.to_json()})


def test_chunk_that_does_not_decode_may_be_written_again(target, tmp_path):
    """Unlike damage of a source it is a VerifyError, which is tried again."""
    (tmp_path / "t/c/1").write_bytes(b"no chunk")
    with pytest.raises(VerifyError, match="cannot be read back"):
        digest_written(target, WHOLE, POOL, 1)


@pytest.mark.parametrize("fetch", [None, 4], ids=["whole", "in-parts"])
def test_checksum_is_that_of_the_stored_bytes(target, tmp_path, fetch, monkeypatch):
    """Read at once or in parts, the bytes on the disk are those that count."""
    if fetch:
        monkeypatch.setattr("zarrmill.execute.written_check.FETCH_BYTES", fetch)
    data = (tmp_path / "t/c/0").read_bytes()
    assert stored_crc32c(target, "c/0") == crc32c(data)

    compare_checksums(target, Written(checksums={"/c/0": crc32c(data)}))
    (tmp_path / "t/c/0").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(VerifyError, match="c/0: the stored bytes have the checksum"):
        compare_checksums(target, Written(checksums={"/c/0": crc32c(data)}))
