"""servers/s3.py: moto behaves as S3 where zarrmill relies on it, and ends when it should."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from obstore.exceptions import AlreadyExistsError
from obstore.store import from_url

from tests.servers.s3 import S3Server, make_storage_options


@pytest.fixture
def store(s3_bucket, storage_options):
    return from_url(s3_bucket, **storage_options)


def test_values_come_back(store):
    """What was put is read whole, in part, from the end and by ranges."""
    store.put("a/b c%ä", b"0123456789")

    assert bytes(store.get("a/b c%ä").bytes()) == b"0123456789"
    assert bytes(store.get_range("a/b c%ä", start=2, length=3)) == b"234"
    assert bytes(store.get("a/b c%ä", options={"range": {"suffix": 4}}).bytes()) == b"6789"
    assert [bytes(part) for part in store.get_ranges("a/b c%ä", starts=[0, 8], lengths=[1, 2])] == [b"0", b"89"]


def test_a_missing_key_is_not_found(store):
    """obstore says so with a FileNotFoundError."""
    with pytest.raises(FileNotFoundError):
        store.get("nothing")


def test_create_is_conditional(store):
    """The first create wins; the second is told, and changes nothing."""
    store.put("claim", b"first", mode="create")
    with pytest.raises(AlreadyExistsError):
        store.put("claim", b"second", mode="create")

    assert bytes(store.get("claim").bytes()) == b"first"


def test_one_of_many_creates_wins(store):
    """Of creates at the same time exactly one succeeds, and its value stays."""

    def create(number):
        try:
            store.put("claim", f"{number}".encode(), mode="create")
        except AlreadyExistsError:
            return None
        return number

    with ThreadPoolExecutor(16) as pool:
        winners = [number for number in pool.map(create, range(64)) if number is not None]

    assert [int(bytes(store.get("claim").bytes()))] == winners


def test_create_after_delete(store):
    """A key that was deleted can be created again."""
    store.put("claim", b"first", mode="create")
    store.delete("claim")
    store.put("claim", b"second", mode="create")

    assert bytes(store.get("claim").bytes()) == b"second"


@pytest.mark.slow
def test_listing_has_pages(store, proxy, s3_bucket):
    """More than 1000 keys come in more than one request, sorted, each once."""
    through = from_url(s3_bucket, **proxy.storage_options)
    names = [f"k/{number:04d}" for number in range(1001)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(name, b""), names))

    assert [entry["path"] for page in through.list("k") for entry in page] == names
    assert proxy.get_counts()["LIST"] == 2


def test_listing_with_delimiter(store):
    """Folders and keys directly below a prefix are told apart."""
    for name in ("a/x", "a/b/y", "a/b/z", "c"):
        store.put(name, b"")
    found = store.list_with_delimiter("a")

    assert found["common_prefixes"] == ["a/b"]
    assert [entry["path"] for entry in found["objects"]] == ["a/x"]


def test_deleting_missing_keys_is_no_error(store):
    """Keys are deleted in bulk, those that are not there too."""
    store.put("a", b"")
    store.delete(["a", "b"])

    assert [entry for page in store.list() for entry in page] == []


def test_buckets_are_apart(s3_server, s3_bucket, storage_options):
    """What a test writes no other test sees."""
    other = s3_server.create_bucket()
    from_url(s3_bucket, **storage_options).put("a", b"")

    assert [entry for page in from_url(f"s3://{other}", **storage_options).list() for entry in page] == []
    s3_server.delete_bucket(other)


def test_a_bucket_is_deleted_with_its_keys(s3_server):
    """Afterwards it can be made anew, and is empty."""
    name = s3_server.create_bucket()
    store = from_url(f"s3://{name}", **s3_server.storage_options)
    store.put("a", b"")
    s3_server.delete_bucket(name)
    s3_server.create_bucket(name)

    assert [entry for page in store.list() for entry in page] == []
    s3_server.delete_bucket(name)


def test_connections_are_kept(s3_server):
    """Many requests go over one connection, with and without bodies, also when nobody reads the body."""
    if not s3_server.is_moto:
        pytest.skip("how another server keeps connections is its own affair")
    connection = http.client.HTTPConnection(urlsplit(s3_server.endpoint).netloc, timeout=30)
    connection.connect()
    local = connection.sock.getsockname()
    for method, body, status in (
        ("PUT", None, 200),
        ("GET", None, 200),
        ("POST", b"x" * 100_000, None),
        ("HEAD", None, 200),
        ("DELETE", None, 204),
    ):
        connection.request(method, "/kept-open", body)
        answer = connection.getresponse()
        answer.read()
        assert status in (None, answer.status), method
        assert connection.sock is not None, method
        assert connection.sock.getsockname() == local

    connection.close()


def test_a_given_endpoint_starts_nothing(monkeypatch):
    """The environment names another server, whose credentials are the usual ones."""
    monkeypatch.setenv("ZARRMILL_TEST_S3_ENDPOINT", "http://127.0.0.1:9/")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    with S3Server() as server:
        assert server.process is None
        assert server.storage_options["endpoint"] == "http://127.0.0.1:9"
        assert server.storage_options["access_key_id"] == "me"


def test_moto_takes_no_credentials_from_the_environment():
    """A session token of somebody's shell does not get into the tests."""
    assert "session_token" not in make_storage_options("http://127.0.0.1:9", {})
    assert make_storage_options("http://127.0.0.1:9", {"AWS_SESSION_TOKEN": "t"})["session_token"] == "t"
