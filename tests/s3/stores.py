"""What the tests of the engine on S3 share: small sources, requests in many blocks, and what every run must leave."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from obstore.store import from_url
from zarr.storage import ObjectStore

import zarrmill
from tests.servers.client import Proxy
from tests.servers.traffic import Request
from zarrmill.plan import arrays
from zarrmill.progress import BlockFinished, Message

FAST = {
    "timeout": "3s", "read_timeout": "3s", "connect_timeout": "3s", "retry_timeout": "30s", "max_retries": 3,
    "init_backoff": "5ms", "max_backoff": "20ms",
}  # fmt: skip
"""Storage options with which a fault costs little time."""
SHAPE = (24, 20)
VALUES = np.random.default_rng(3).integers(1, 4096, size=SHAPE).astype("f8")
SHARDED = {"chunks": (4, 20), "shards": (8, 20)}
UNSHARDED = {"chunks": (4, 20), "shards": None}
LAYOUTS = {"shards": SHARDED, "chunks": UNSHARDED}
each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
each_format = pytest.mark.parametrize("zarr_format", [2, 3], ids=["v2", "v3"])


@pytest.fixture
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a block for each shard, or chunk, of however little data, in one pass."""
    candidates = arrays.one_pass_candidates

    def smallest(*args: Any, **options: Any) -> list[Any]:
        found = list(candidates(*args, **options))
        least = min(np.prod(c.tile) for c in found)
        return [c for c in found if np.prod(c.tile) == least]

    monkeypatch.setattr(arrays, "one_pass_candidates", smallest)
    monkeypatch.setattr(arrays, "chains", lambda *args, **options: iter(()))
    monkeypatch.setattr(arrays, "_small_plan", lambda job, limits: None)
    monkeypatch.setattr(arrays, "BLOCK_AIM", 1)


def open_at(url: str, options: dict[str, Any]) -> ObjectStore[Any]:
    """Return a zarr store at a URL, by another way than zarrmill's."""
    return ObjectStore(client_at(url, options))


def client_at(url: str, options: dict[str, Any]) -> Any:
    """Return a client of obstore's at a URL; the options that only zarrmill groups by themselves are left out."""
    return from_url(url, **{name: value for name, value in options.items() if name not in FAST})


def write_array(
    store: Any, *, values: NDArray[Any] = VALUES, zarr_format: int = 3, sharded: bool = False, missing: bool = False
) -> None:
    """Write the source: chunks of two columns, without those of columns 4 to 8 where some are to be missing."""
    shards = (24, 10) if sharded else None
    checked = {"compressors": [zarr.codecs.ZstdCodec(checksum=True), zarr.codecs.Crc32cCodec()]} if sharded else {}
    array = zarr.create_array(
        store, shape=values.shape, dtype=values.dtype, chunks=(24, 2), shards=shards, zarr_format=zarr_format,
        dimension_names=("object", "epoch") if zarr_format == 3 else None, attributes={"unit": "mag"}, fill_value=0,
        **checked,
    )  # fmt: skip
    array[:] = np.where((np.arange(20) // 2 == 2)[None, :], 0, values) if missing else values


def write_group(store: Any, *, consolidated: bool = True) -> None:
    """Write a group of two arrays and a nested group with one."""
    root = zarr.create_group(store, attributes={"title": "survey"})
    names = ("object", "epoch")
    root.create_array("flux", data=VALUES, chunks=(24, 2), dimension_names=names)
    root.create_array("error", data=VALUES / 8, chunks=(24, 2), dimension_names=names)
    root.create_group("more").create_array("flag", data=VALUES.astype("u1"), chunks=(24, 2), dimension_names=names)
    if consolidated:
        with pytest.warns(UserWarning, match="Consolidated metadata"):
            zarr.consolidate_metadata(store)


def keys_of(url: str, options: dict[str, Any]) -> list[str]:
    """Return every key below a URL but the records of what arrays were made from."""
    found = sorted(item["path"] for page in client_at(url, options).list() for item in page)
    return [key for key in found if key.rpartition("/")[2] != "zarrmill.json"]


def check_nothing_opens(url: str, options: dict[str, Any]) -> None:
    """No library takes what is there for a store."""
    with pytest.raises(FileNotFoundError):
        zarr.open(open_at(url, options), mode="r")
    assert "zarr.json" not in keys_of(url, options)


def check_no_leftovers(url: str, options: dict[str, Any]) -> None:
    """Nothing of the run is left below the target: no claim, journal or other key of zarrmill's."""
    assert [key for key in keys_of(url, options) if ".zarrmill" in key] == []


def check_array(url: str, options: dict[str, Any], values: NDArray[Any] = VALUES) -> None:
    """The array at a URL has these values."""
    np.testing.assert_array_equal(zarr.open_array(open_at(url, options), mode="r")[...], values)


def writes(proxy: Proxy, url: str) -> list[Request]:
    """Return the PUTs below a URL in order."""
    return [request for request in below(proxy, url) if request.kind == "PUT"]


def below(proxy: Proxy, url: str) -> list[Request]:
    """Return the requests for keys below a URL in order."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return proxy.get_requests(prefix, bucket=bucket)


def is_chunk(request: Request) -> bool:
    """Tell whether a request is about a chunk or shard."""
    return re.search(r"(^|/)(c[./]|\d+[./])", request.key.partition(".zarr/")[2]) is not None


def digest_at(url: str, options: dict[str, Any]) -> str:
    """Return the digest of the store at a URL."""
    return zarrmill.digest(zarrmill.open_store(url, storage_options=options))


def stop_after(blocks: int, error: type[BaseException] = KeyboardInterrupt) -> Any:
    """Return a progress client that ends the run when so many blocks are finished."""
    finished: list[str] = []

    def progress(message: Message) -> None:
        if isinstance(message, BlockFinished):
            finished.append(message.block)
            if len(finished) == blocks:
                raise error

    return progress
