"""Parts of one version of a value, with the store's tag of it."""

from __future__ import annotations

import uuid

import pytest
from zarr.storage import MemoryStore

from zarrmill.keyspace.local import LocalKeys
from zarrmill.keyspace.zarr_keys import ZarrKeys
from zarrmill.store import open_keys

VALUE = bytes(range(100))


@pytest.fixture(params=["disk", "object store", "zarr store"])
def keys(request, tmp_path):
    """Keys of every kind."""
    if request.param == "disk":
        return LocalKeys(tmp_path)
    return ZarrKeys(MemoryStore()) if request.param == "zarr store" else open_keys(f"memory://{uuid.uuid4().hex}")


def test_parts_and_the_end(keys):
    """Parts in the order asked for, and the last bytes; a missing key is None."""
    keys.put("a", VALUE)
    parts, _ = keys.get_tagged("a", [(50, 10), (0, 3), (98, 9)])
    (end,), _ = keys.get_tagged("a", [(-4, 4)])

    assert [bytes(part) for part in parts] == [VALUE[50:60], VALUE[:3], VALUE[98:]]
    assert bytes(end) == VALUE[-4:]
    assert bytes(keys.get_tagged("a", [(-400, 400)])[0][0]) == VALUE
    assert keys.get_tagged("b", [(0, 3)]) is None
    assert keys.get_tagged("b", [(-3, 3)]) is None


def test_the_tag_is_that_of_the_version(keys):
    """Where a store has tags, it is the one that ``head`` tells, and another one after the value was replaced."""
    keys.put("a", VALUE)
    tags = {keys.get_tagged("a", [span])[1] for span in ((0, 3), (-3, 3), (20, 20))}
    assert tags == {keys.head("a").etag}
    keys.put("a", VALUE[::-1])
    after = keys.get_tagged("a", [(0, 3)])[1]

    assert after == keys.head("a").etag
    assert after is None or after not in tags
