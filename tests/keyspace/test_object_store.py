"""keyspace/object_store.py: requests, conditional writes and damaged values over the S3 protocol."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from tests.keyspace.conftest import QUICK, open_url
from tests.servers.client import Proxy
from tests.servers.rules import READS
from tests.servers.s3 import S3Server
from zarrmill.errors import StoreUnavailableError
from zarrmill.keyspace.object_store import ObjectKeys

VALUE = os.urandom(100_000)


@pytest.fixture
def value(direct: ObjectKeys) -> bytes:
    """What is there under the key "k"."""
    direct.put("k", VALUE)
    return VALUE


def test_large_values_are_one_request(proxy: Proxy, direct: ObjectKeys, proxied: ObjectKeys) -> None:
    """A value above the size at which clients like to send parts is sent whole, and its ETag comes back."""
    large = os.urandom(1000) * 20_000
    etag = proxied.put("shard", large)

    assert proxy.get_counts().requests == {"PUT": 1}
    found = direct.head("shard")
    assert found is not None
    assert (found.nbytes, found.etag) == (len(large), etag)


def test_many_keys_are_removed_by_few_requests(proxy: Proxy, proxied: ObjectKeys) -> None:
    """A thousand keys go with one request."""
    proxied.delete(f"c/{i}" for i in range(1500))

    assert proxy.get_counts().requests == {"POST": 2}
    assert proxied.counts.deletes == 2


def test_neighbours_are_read_together(proxy: Proxy, direct: ObjectKeys, proxied: ObjectKeys) -> None:
    """Parts with small gaps between them are one request, those further apart another."""
    direct.put("k", bytes(2_000_000))
    proxied.get_ranges("k", [(0, 1000), (2000, 1000), (1_500_000, 10)])

    assert proxy.get_counts().requests == {"RANGE": 2}
    assert proxied.counts.gets == 2


def test_a_sound_read_is_one_request(proxy: Proxy, proxied: ObjectKeys, value: bytes) -> None:
    """Neither the checksum nor the end of a value costs a request of its own."""
    for call in (
        lambda: proxied.get("k"),
        lambda: proxied.get_range("k", 10, 50),
        lambda: proxied.get_suffix("k", 50),
    ):
        proxy.reset_counts()
        call()
        assert proxy.get_counts().total == 1


def test_a_claim_whose_answer_got_lost_is_ours(proxy: Proxy, proxied: ObjectKeys) -> None:
    """A conditional write lands, nobody hears of it: what is there is what we wrote, so it is ours."""
    proxy.add("lose_answer", kinds=("PUT",))

    assert proxied.create("claim", b"token 1")
    assert not proxied.create("claim", b"token 2")
    assert proxied.get("claim") == b"token 1"


def test_a_claim_that_the_client_repeats_is_ours(proxy: Proxy, proxied: ObjectKeys) -> None:
    """A conditional write lands and is told to have failed; the client's own second try finds the key taken, by us."""
    proxy.add("deny_answer", kinds=("PUT",))

    assert proxied.create("claim", b"token 1")
    assert proxy.get_counts()["PUT"] == 2


@pytest.mark.parametrize("fault", ["lose_answer", "deny_answer", "reset", "reset_request", "internal_error"])
def test_somebody_elses_claim_stays(proxy: Proxy, direct: ObjectKeys, proxied: ObjectKeys, fault: Any) -> None:
    """Whatever happens on the way, the key of another is not ours."""
    direct.create("claim", b"theirs")
    proxy.add(fault, kinds=("PUT",))

    assert not proxied.create("claim", b"ours")
    assert direct.get("claim") == b"theirs"


@pytest.mark.parametrize("fault", ["reset", "reset_request", "conflict", "precondition_failed"])
def test_a_claim_that_did_not_land_is_tried_again(proxy: Proxy, proxied: ObjectKeys, fault: Any) -> None:
    """When a conditional write failed and nothing is there, it is written again."""
    proxy.add(fault, kinds=("PUT",))

    assert proxied.create("claim", b"token")
    assert proxied.get("claim") == b"token"


def test_a_claim_that_never_lands_is_an_error(proxy: Proxy, proxied: ObjectKeys) -> None:
    """A conditional write that is lost again and again ends."""
    proxy.add("reset", kinds=("PUT",), times=None)

    with pytest.raises(StoreUnavailableError, match=r"writing s3://.*/a/claim failed"):
        proxied.create("claim", b"token")


@pytest.mark.parametrize("at", [0, None, -1], ids=["first byte", "middle", "last byte"])
def test_a_damaged_value_is_read_again(proxy: Proxy, proxied: ObjectKeys, value: bytes, at: int | None) -> None:
    """A byte that changed on the way is noticed, and the second reading is right."""
    rule = proxy.add("corrupt_answer", kinds=("GET",), at=at)

    assert proxied.get("k") == value
    assert (proxy.get_hits(rule), proxied.counts.gets) == (1, 2)
    assert proxied.link.etags.active


def test_unchecked_values_are_not_compared(proxy: Proxy, proxied: ObjectKeys, value: bytes) -> None:
    """Whoever has checksums of his own reads what came."""
    proxy.add("corrupt_answer", kinds=("GET",))

    assert proxied.below("").unchecked().get("k") != value
    assert proxied.counts.gets == 1


def test_the_comparison_is_an_option(proxy: Proxy, s3_bucket: str) -> None:
    """A storage option switches the comparison off for a store whose ETags are no checksums."""
    keys = open_url(s3_bucket, proxy.storage_options | QUICK | {"verify_etag": "false"})
    keys.put("k", VALUE)
    proxy.add("corrupt_answer", kinds=("GET",))

    assert keys.get("k") != VALUE


@pytest.mark.parametrize("fault", ["truncate_answer", "reset_answer"])
@pytest.mark.parametrize("at", [0, 1, None, -1], ids=["nothing came", "one byte came", "half came", "all but one came"])
def test_a_short_answer_is_completed(
    proxy: Proxy, proxied: ObjectKeys, value: bytes, fault: Any, at: int | None
) -> None:
    """An answer that ends too early is never a short value: the rest is asked for."""
    proxy.add(fault, kinds=READS, at=at)
    assert proxied.get("k") == value
    proxy.add(fault, kinds=READS, at=at)
    assert proxied.get_range("k", 100, 5000) == value[100:5100]
    proxy.add(fault, kinds=READS, at=at)
    assert proxied.get_suffix("k", 5000) == value[-5000:]
    proxy.add(fault, kinds=READS, at=at)
    assert proxied.get_ranges("k", [(0, 50), (99_990, 50)]) == [value[:50], value[-10:]]


@pytest.mark.parametrize("call", ["get", "get_range", "get_suffix"])
def test_an_answer_that_is_always_short_is_an_error(proxy: Proxy, proxied: ObjectKeys, value: bytes, call: str) -> None:
    """A value that never comes whole is told of, and no part of it is returned."""
    proxy.add("truncate_answer", kinds=READS, times=None, at=0)
    arguments = {"get": (), "get_range": (100, 5000), "get_suffix": (5000,)}[call]

    with pytest.raises(StoreUnavailableError, match=r"reading s3://.*/a/k failed"):
        getattr(proxied, call)("k", *arguments)


def test_an_answer_that_stalls_is_given_up(proxy: Proxy, s3_bucket: str) -> None:
    """An answer in which nothing more comes is asked for again, long before the time of the whole request."""
    options = proxy.storage_options | QUICK | {"read_timeout": "100ms"}
    keys = open_url(s3_bucket, options)
    keys.put("k", VALUE)
    proxy.add("stall_answer", kinds=READS)

    assert keys.get("k") == VALUE


def test_a_write_may_be_silent_for_longer_than_a_read(proxy: Proxy, s3_bucket: str) -> None:
    """While a body is sent nothing comes back, which is no reason to give it up."""
    options = proxy.storage_options | QUICK | {"read_timeout": "50ms", "max_retries": 0}
    keys = open_url(s3_bucket, options)
    proxy.add("delay", kinds=("PUT",), seconds=0.3)

    keys.put("k", VALUE)
    assert proxy.get_counts()["PUT"] == 1


def test_listings_are_asked_for_page_by_page(proxy: Proxy, direct: ObjectKeys, proxied: ObjectKeys) -> None:
    """Whoever needs one key of a listing pays for one page."""
    for i in range(3):
        direct.put(f"c/{i}", b"")
    next(proxied.list())

    assert proxy.get_counts().requests == {"LIST": 1}


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted through Linux's /proc")
def test_buckets_that_were_left_keep_few_connections(s3_server: S3Server) -> None:
    """A process that goes from bucket to bucket, or renews its keys every hour, does not run out of descriptors."""
    before = count_sockets()
    for number in range(40):
        assert open_url(f"s3://left-{number}", s3_server.storage_options).head("k") is None

    assert count_sockets() - before <= 12


def count_sockets() -> int:
    """Return the number of sockets that this process has."""
    found = 0
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found += os.readlink(entry.path).startswith("socket:")
    return found
