"""servers/proxy.py: every fault happens as told, counts are right, and sound requests go through unchanged."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import from_url

from tests.servers.faults import REFUSALS
from tests.servers.rules import READS

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, Signature=none"}
"""moto looks whether a request is signed, and not at the signature."""
HEADERS = f"Host: x\r\nAuthorization: {SIGNED['Authorization']}\r\n"
BODY = bytes(range(256)) * 4


class Plain:
    """One connection of plain HTTP, without retries: what a client really sees."""

    def __init__(self, endpoint, bucket):
        self.bucket = bucket
        self.connection = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=30)

    def ask(self, method, key, body=None, **headers):
        """Return status and body of an answer."""
        self.connection.request(method, f"/{self.bucket}/{key}", body, SIGNED | headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture
def bucket(s3_bucket):
    return s3_bucket.removeprefix("s3://")


@pytest.fixture
def plain(proxy, bucket):
    """Through the proxy."""
    client = Plain(proxy.endpoint, bucket)
    yield client
    client.connection.close()


@pytest.fixture
def direct(s3_server, bucket):
    """To the server itself, where one key is."""
    client = Plain(s3_server.endpoint, bucket)
    assert client.ask("PUT", "key", BODY)[0] == 200
    yield client
    client.connection.close()


@pytest.fixture
def store(proxy, s3_bucket):
    """Through the proxy, with a client that retries."""
    return from_url(s3_bucket, **proxy.storage_options)


def test_requests_go_through(proxy, plain, direct):
    """Without rules the proxy changes nothing, on one connection."""
    assert plain.ask("GET", "key") == (200, BODY)
    assert plain.ask("GET", "key", Range="bytes=10-19") == (206, BODY[10:20])
    assert plain.ask("HEAD", "key") == (200, b"")
    assert plain.ask("PUT", "new", b"value")[0] == 200
    assert direct.ask("GET", "new") == (200, b"value")
    assert plain.ask("DELETE", "new")[0] == 204
    assert plain.ask("GET", "new")[0] == 404
    assert proxy.get_counts().total == 6


def test_requests_are_counted_by_kind(proxy, store):
    """Each kind has its count, and bodies are counted in bytes."""
    store.put("a/1", BODY)
    store.put("a/2", BODY)
    store.get("a/1").bytes()
    store.get_range("a/1", start=0, length=10)
    store.head("a/1")
    list(store.list("a"))
    store.delete("a/1")
    store.delete(["a/2"])
    counts = proxy.get_counts()

    assert counts.requests == {"PUT": 2, "GET": 1, "RANGE": 1, "HEAD": 1, "LIST": 1, "POST": 2}
    assert counts["PUT"] == 2
    assert counts["DELETE"] == 0
    assert counts.bytes_in >= 2 * len(BODY)
    assert counts.bytes_out >= len(BODY) + 10
    assert (counts.faults, counts.in_flight, counts.peak_in_flight) == (0, 0, 1)


def test_requests_are_counted_by_prefix(proxy, store, bucket):
    """Keys below a prefix have counts of their own; a listing counts by the prefix that it asks for."""
    store.put("a/1", BODY)
    store.put("b/1", b"")
    list(store.list("a"))

    assert proxy.get_counts("a/").requests == {"PUT": 1, "LIST": 1}
    assert proxy.get_counts("a/1").bytes_in == len(BODY)
    assert proxy.get_counts("b", bucket=bucket).requests == {"PUT": 1}
    assert proxy.get_counts("b", bucket="another").total == 0


def test_requests_are_remembered_in_order(proxy, store):
    """Each request is known with its key, status and bytes: which key came last can be asked."""
    store.put("ä b", BODY)
    with pytest.raises(FileNotFoundError):
        store.get("none")
    store.put("claim", b"mine", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.put("claim", b"mine", mode="create")
    requests = proxy.get_requests()

    assert [(r.kind, r.key, r.status, r.conditional) for r in requests] == [
        ("PUT", "ä b", 200, False),
        ("GET", "none", 404, False),
        ("PUT", "claim", 200, True),
        ("PUT", "claim", 412, True),
    ]
    assert [r.number for r in requests] == [0, 1, 2, 3]
    assert requests[0].bytes_in == len(BODY)
    assert all(r.done and r.landed and not r.fault for r in requests)


def test_counts_start_anew(proxy, store):
    """After a reset of the counters nothing was."""
    store.put("a", b"")
    proxy.reset_counts()

    assert proxy.get_counts().total == 0
    assert proxy.get_requests() == []


@pytest.mark.parametrize("size", [0, 1, 65_536, 10_000_000])
def test_bodies_are_passed_on_whole(store, proxy, size):
    """Large bodies come through both ways, byte for byte."""
    body = os.urandom(size)
    store.put("big", body, use_multipart=False)

    assert hashlib.sha256(store.get("big").bytes()).digest() == hashlib.sha256(body).digest()
    assert (proxy.get_counts().bytes_in, proxy.get_counts().bytes_out) == (size, size)


def test_multipart_goes_through(store, proxy):
    """A value in parts is whole afterwards; its requests show in the counts."""
    body = os.urandom(11 << 20)
    store.put("parts", body, use_multipart=True, chunk_size=5 << 20)

    assert bytes(store.get("parts").bytes()) == body
    assert proxy.get_counts().requests == {"POST": 2, "PUT": 3, "GET": 1}


def test_a_chunked_body_goes_through(plain, direct):
    """A request whose length nobody said is passed on as it comes."""
    plain.connection.request(
        "PUT", f"/{plain.bucket}/chunked", iter([b"ab", b"c" * 70_000, b"d"]), SIGNED, encode_chunked=True
    )
    answer = plain.connection.getresponse()
    answer.read()

    assert answer.status == 200
    assert direct.ask("GET", "chunked")[1] == b"ab" + b"c" * 70_000 + b"d"
    assert plain.ask("GET", "key") == (200, BODY)


def test_requests_sent_ahead_are_answered_in_order(proxy, bucket, direct):
    """A client that does not wait for answers gets them one after the other."""
    direct.ask("PUT", "second", b"2")
    lines = "".join(f"GET /{bucket}/{key} HTTP/1.1\r\n{HEADERS}\r\n" for key in ("key", "second"))
    with socket.create_connection(("127.0.0.1", proxy.process.port), timeout=30) as connection:
        connection.sendall(lines.encode())
        received = b""
        while not received.endswith(b"\r\n\r\n2"):
            data = connection.recv(65536)
            assert data, received
            received += data

    assert received.index(BODY) < received.index(b"\r\n\r\n2")


def test_expecting_clients_are_told_to_continue(proxy, bucket, direct):
    """A body that is only sent after `100 Continue` arrives."""
    head = f"PUT /{bucket}/waited HTTP/1.1\r\n{HEADERS}Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy.process.port), timeout=30) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"body")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")

    assert direct.ask("GET", "waited") == (200, b"body")


def test_what_is_not_http_is_told_so(proxy):
    """A client that speaks TLS to a plain server hears of it at once."""
    with socket.create_connection(("127.0.0.1", proxy.process.port), timeout=30) as connection:
        connection.sendall(b"\x16\x03\x01\x00\xa5")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")
        assert connection.recv(65536) == b""


def test_a_connection_is_closed_where_the_client_says_so(plain, direct):
    """`Connection: close` is between the client and the proxy."""
    assert plain.ask("GET", "key", Connection="close") == (200, BODY)
    assert plain.ask("GET", "key") == (200, BODY)


def test_latency_is_added_side_by_side(proxy, store):
    """Requests wait at the same time, not one after the other."""
    store.put("a", b"x")
    proxy.reset_counts()
    proxy.set_latency(1)

    async def read_all():
        await asyncio.gather(*(store.get_async("a") for _ in range(20)))

    asyncio.run(read_all())
    counts = proxy.get_counts()

    assert counts["GET"] == 20
    assert counts.peak_in_flight == 20


def test_latency_ends(proxy, plain, direct):
    """Latency holds until it is set anew; an answer takes at least that long."""
    proxy.set_latency(0.2)
    loop = asyncio.new_event_loop()
    before = loop.time()
    plain.ask("GET", "key")
    waited = loop.time() - before
    loop.close()
    proxy.set_latency(0)

    assert waited >= 0.2


@pytest.mark.parametrize("fault", REFUSALS)
def test_refusals(proxy, plain, direct, fault):
    """The client is told S3's status and code; the server hears nothing; the connection goes on."""
    status, _, code, _ = REFUSALS[fault]
    proxy.add(fault, kinds=("PUT",))
    told, body = plain.ask("PUT", "key", b"new")

    assert (told, f"<Code>{code}</Code>" in body.decode()) == (status, True)
    assert direct.ask("GET", "key") == (200, BODY)
    assert plain.ask("PUT", "key", b"new")[0] == 200
    assert [(r.fault, r.status, r.landed) for r in proxy.get_requests()] == [(fault, status, False), ("", 200, True)]


def test_a_refused_head_has_no_body(proxy, plain, direct):
    """The answer to HEAD ends with its head."""
    proxy.add("access_denied")

    assert plain.ask("HEAD", "key") == (403, b"")
    assert plain.ask("GET", "key") == (200, BODY)


def test_reset_before_the_answer(proxy, plain, direct):
    """The connection is reset, and nothing reaches the server."""
    proxy.add("reset")
    with pytest.raises(ConnectionResetError):
        plain.ask("PUT", "key", b"new")

    assert direct.ask("GET", "key") == (200, BODY)


def test_reset_in_the_request(proxy, bucket, direct):
    """The connection is reset after half of the body, and nothing reaches the server."""
    proxy.add("reset_request", at=1000)
    head = f"PUT /{bucket}/key HTTP/1.1\r\n{HEADERS}Content-Length: 2000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy.process.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"x" * 1000)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)

    assert direct.ask("GET", "key") == (200, BODY)
    assert proxy.get_requests()[0].bytes_in == 1000


def test_lost_answer(proxy, plain, direct):
    """The request lands, and the client sees a reset."""
    proxy.add("lose_answer", kinds=("PUT",))
    with pytest.raises(ConnectionResetError):
        plain.ask("PUT", "key", b"new")

    assert direct.ask("GET", "key") == (200, b"new")
    assert [(r.landed, r.status) for r in proxy.get_requests()] == [(True, 0)]


def test_denied_answer(proxy, plain, direct):
    """The request lands, and the client is told that it failed."""
    proxy.add("deny_answer", kinds=("PUT",))

    assert plain.ask("PUT", "key", b"new")[0] == 500
    assert direct.ask("GET", "key") == (200, b"new")
    assert [(r.landed, r.status) for r in proxy.get_requests()] == [(True, 500)]


@pytest.mark.parametrize(
    ("fault", "error", "puts"), [("deny_answer", AlreadyExistsError, 2), ("lose_answer", GenericError, 1)]
)
def test_ambiguous_create(proxy, store, fault, error, puts):
    """A create that landed: after a 500 obstore's own retry says that the key exists, a reset it does not retry."""
    rule = proxy.add(fault, kinds=("PUT",), conditional=True)
    with pytest.raises(error):
        store.put("claim", b"mine", mode="create")

    assert bytes(store.get("claim").bytes()) == b"mine"
    assert proxy.get_hits(rule) == 1
    assert proxy.get_counts()["PUT"] == puts


def test_truncated_answer(proxy, plain, direct):
    """The length says more than comes."""
    proxy.add("truncate_answer", at=100)
    with pytest.raises(http.client.IncompleteRead) as caught:
        plain.ask("GET", "key")

    assert caught.value.partial == BODY[:100]
    assert caught.value.expected == len(BODY) - 100
    assert proxy.get_requests()[0].bytes_out == 100


def test_reset_in_the_answer(proxy, plain, direct):
    """Half of the body comes, then a reset."""
    proxy.add("reset_answer")
    with pytest.raises(ConnectionResetError):
        plain.ask("GET", "key")

    request = proxy.get_requests()[0]
    assert (request.status, request.bytes_out, request.landed) == (200, len(BODY) // 2, True)


def test_corrupt_answer(proxy, plain, direct):
    """One bit of one byte is another, once."""
    proxy.add("corrupt_answer", at=-1)
    status, body = plain.ask("GET", "key")

    assert (status, body) == (200, BODY[:-1] + bytes([BODY[-1] ^ 1]))
    assert plain.ask("GET", "key") == (200, BODY)


def test_corrupt_range(proxy, plain, direct):
    """A part of a value is flipped in its middle."""
    proxy.add("corrupt_answer", kinds=READS)

    assert plain.ask("GET", "key", Range="bytes=0-9") == (206, bytes([0, 1, 2, 3, 4, 5 ^ 1, 6, 7, 8, 9]))


def test_corrupt_request(proxy, plain, direct):
    """The server gets another value than the client sent."""
    proxy.add("corrupt_request", at=0)
    assert plain.ask("PUT", "key", b"new")[0] == 200

    assert direct.ask("GET", "key") == (200, bytes([b"n"[0] ^ 1]) + b"ew")


def test_corruption_without_a_body_says_so(proxy, plain, direct):
    """A fault that could not happen has another name."""
    proxy.add("corrupt_request")
    plain.ask("PUT", "key", b"")

    assert proxy.get_requests()[0].fault == "corrupt_request: empty body"


def test_hanging(proxy, plain, direct):
    """The answer does not come until the client gives up."""
    rule = proxy.add("hang")
    plain.connection.timeout = 0.3
    with pytest.raises(TimeoutError):
        plain.ask("GET", "key")
    proxy.await_hits(rule)
    plain.connection.close()
    proxy.await_quiet()

    assert [(r.status, r.landed) for r in proxy.get_requests()] == [(0, False)]


def test_stalled_answer(proxy, plain, direct):
    """Half of the body comes, and the rest does not until the client gives up."""
    proxy.add("stall_answer")
    plain.connection.request("GET", f"/{plain.bucket}/key", headers=SIGNED)
    answer = plain.connection.getresponse()
    assert answer.read(len(BODY) // 2) == BODY[: len(BODY) // 2]
    plain.connection.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        answer.read(1)
    answer.close()
    plain.connection.close()
    proxy.await_quiet()

    assert [(r.bytes_out, r.landed) for r in proxy.get_requests()] == [(len(BODY) // 2, True)]


def test_reset_ends_what_hangs(proxy, plain, direct):
    """A reset of the proxy drops requests that hang."""
    rule = proxy.add("hang")
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(plain.ask, "GET", "key")
        proxy.await_hits(rule)
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            future.result(30)

    assert proxy.get_counts().in_flight == 0


def test_hold_and_release(proxy, plain, direct):
    """A held request waits before the server until it is released."""
    rule = proxy.add("hold", kinds=("PUT",))
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(plain.ask, "PUT", "key", b"new")
        proxy.await_hits(rule)
        assert direct.ask("GET", "key") == (200, BODY)
        assert proxy.release() == 1
        assert future.result(30)[0] == 200

    assert direct.ask("GET", "key") == (200, b"new")
    assert proxy.release() == 0


def test_release_during_the_latency(proxy, plain, direct):
    """A request is released also while it still waits for another reason."""
    proxy.set_latency(0.3)
    rule = proxy.add("hold")
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(plain.ask, "GET", "key")
        proxy.await_hits(rule)
        assert proxy.release() == 1
        assert future.result(30) == (200, BODY)


def test_counters_that_start_anew_leave_out_what_runs(proxy, plain, direct):
    """A request from before is in flight, and counted nowhere else."""
    rule = proxy.add("hold")
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(plain.ask, "GET", "key")
        proxy.await_hits(rule)
        proxy.reset_counts()
        counts = proxy.get_counts()
        assert (counts.total, counts.in_flight, counts.peak_in_flight) == (0, 1, 1)
        proxy.release()
        future.result(30)
    proxy.await_quiet()

    assert (proxy.get_counts().total, proxy.get_counts().bytes_out) == (0, 0)


def test_a_torn_write_leaves_the_old_value(proxy, bucket, direct):
    """A client that is killed in a PUT changes nothing."""
    head = f"PUT /{bucket}/key HTTP/1.1\r\n{HEADERS}Content-Length: 2000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", proxy.process.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"x" * 1000)
    while not proxy.get_requests():
        pass
    proxy.await_quiet()

    assert direct.ask("GET", "key") == (200, BODY)
    assert proxy.get_requests()[0].landed is False


def test_delay(proxy, store):
    """Only the requests of the rule wait longer: a later one overtakes."""
    store.put("slow", b"")
    store.put("fast", b"")
    proxy.add("delay", key="slow", kinds=("GET",), seconds=60)

    async def race():
        tasks = [asyncio.create_task(store.get_async(key), name=key) for key in ("slow", "fast")]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        return {task.get_name() for task in done}

    assert asyncio.run(race()) == {"fast"}


@pytest.mark.parametrize(
    ("options", "struck"),
    [
        ({}, [0]),
        ({"skip": 2}, [2]),
        ({"skip": 1, "times": 2}, [1, 2]),
        ({"times": None}, [0, 1, 2, 3]),
        ({"skip": 3, "times": None}, [3]),
        ({"skip": 4}, []),
        ({"times": 0}, []),
    ],
    ids=str,
)
def test_which_of_the_matching_requests(proxy, plain, direct, options, struck):
    """The first, the third, two after the first, all."""
    rule = proxy.add("bad_gateway", kinds=("GET",), key="key", **options)
    statuses = [plain.ask("GET", "key")[0] for _ in range(4)]

    assert [number for number, status in enumerate(statuses) if status == 502] == struck
    assert proxy.get_hits(rule) == len(struck)
    assert proxy.get_counts().faults == len(struck)


@pytest.mark.parametrize(
    ("options", "matches"),
    [
        ({"key": "zarr.json"}, ["a/zarr.json"]),
        ({"pattern": r"^a/c/\d+$"}, ["a/c/0", "a/c/17"]),
        ({"kinds": ("HEAD",)}, []),
        ({"kinds": READS, "key": "a/", "pattern": "7"}, ["a/c/17"]),
        ({"conditional": True}, []),
    ],
    ids=str,
)
def test_which_requests_match(proxy, plain, options, matches):
    """By kind, by part of the key, by pattern, by condition, and by all of them."""
    proxy.add("unavailable", times=None, **options)
    keys = ["a/zarr.json", "a/c/0", "a/c/17"]

    assert [key for key in keys if plain.ask("GET", key)[0] == 503] == matches


def test_the_first_rule_that_strikes(proxy, plain, direct):
    """Of two rules the first is met; the second counts the request as seen, and strikes on the next one."""
    first, second = proxy.add("slow_down"), proxy.add("no_such_key", skip=1)

    assert [plain.ask("GET", "key")[0] for _ in range(3)] == [503, 404, 200]
    assert (proxy.get_hits(first), proxy.get_hits(second)) == (1, 1)


def test_rules_are_cleared(proxy, plain, direct):
    """Without rules nothing happens any more."""
    proxy.add("slow_down", times=None)
    proxy.clear()

    assert plain.ask("GET", "key") == (200, BODY)


@pytest.mark.parametrize(
    "options", [{"fault": "fire"}, {"fault": "reset", "kinds": ("SET",)}, {"fault": "reset", "pattern": "("}], ids=str
)
def test_wrong_rules_are_refused(proxy, options):
    """A rule that could never strike is an error, not a test that passes."""
    with pytest.raises((ValueError, re.error)):
        proxy.add(options.pop("fault"), **options)


def test_unknown_commands_are_refused(proxy):
    """The proxy says what it does not know."""
    with pytest.raises(ValueError, match="GET nothing"):
        proxy._ask("GET", "nothing")


@pytest.mark.parametrize("fault", ["slow_down", "internal_error", "bad_gateway", "reset", "truncate_answer"])
def test_obstore_retries(proxy, store, fault):
    """A client that retries reads the value in spite of a passing fault."""
    store.put("key", BODY)
    rule = proxy.add(fault, kinds=("GET",))

    assert bytes(store.get("key").bytes()) == BODY
    assert proxy.get_hits(rule) == 1


@pytest.mark.parametrize("fault", ["access_denied", "expired_token"])
def test_obstore_gives_up(proxy, store, fault):
    """What no retry mends is an error at once."""
    proxy.add(fault, times=None)
    with pytest.raises(BaseError, match=REFUSALS[fault][2]):
        store.put("key", BODY)

    assert proxy.get_counts()["PUT"] == 1


def test_a_server_that_is_gone_resets(s3_server):
    """Without its server the proxy drops connections, and does not hang."""
    from tests.servers.client import Proxy
    from tests.servers.s3 import S3Server

    with Proxy(S3Server("http://127.0.0.1:9")) as proxy, pytest.raises(ConnectionResetError):
        Plain(proxy.endpoint, "b").ask("GET", "key")
