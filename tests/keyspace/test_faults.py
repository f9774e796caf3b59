"""keyspace/faults.py: each fault of a store is one line that names the key, what failed, and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import pytest

from tests.keyspace.conftest import QUICK, open_url
from tests.servers.client import Proxy
from zarrmill.errors import NotFoundError, StoreAccessError, StoreUnavailableError, ZarrmillError
from zarrmill.keyspace.faults import explain
from zarrmill.keyspace.object_store import ObjectKeys

CALLS: dict[str, Callable[[ObjectKeys], Any]] = {
    "get": lambda keys: keys.get("k"),
    "range": lambda keys: keys.get_range("k", 0, 5),
    "ranges": lambda keys: keys.get_ranges("k", [(0, 1), (10_000_000, 1)]),
    "suffix": lambda keys: keys.get_suffix("k", 5),
    "head": lambda keys: keys.head("k"),
    "put": lambda keys: keys.put("k", b"new"),
    "create": lambda keys: keys.create("k", b"new"),
    "list": lambda keys: list(keys.list("k")),
    "list_dir": lambda keys: keys.list_dir("k"),
    "delete": lambda keys: keys.delete(["k", "l"]),
}
PASSING: dict[str, Container[str]] = {"slow_down": CALLS, "reset": CALLS}
PASSING |= dict.fromkeys(("internal_error", "bad_gateway", "unavailable"), ("get", "put"))
DOING = dict.fromkeys(CALLS, "reading") | {"head": "asking for", "put": "writing", "create": "writing"}
DOING |= {"list": "listing", "list_dir": "listing", "delete": "removing"}
PERMISSION = {"reading": "GetObject", "asking for": "GetObject", "writing": "PutObject"}
PERMISSION |= {"listing": "ListBucket", "removing": "DeleteObject"}


def fail(call: str, keys: ObjectKeys) -> ZarrmillError:
    with pytest.raises(ZarrmillError) as caught:
        CALLS[call](keys)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350
    assert str(caught.value).startswith(f"{DOING[call]} {keys.location}/k")
    return caught.value


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_allowed(proxy: Proxy, proxied: ObjectKeys, call: str) -> None:
    """A refusal names the permission that is needed, where the answer has no body too, and is not tried again."""
    proxy.add("access_denied", times=None)
    error = fail(call, proxied)

    assert isinstance(error, StoreAccessError)
    assert f"not allowed (403 Forbidden{'' if call == 'head' else ' (AccessDenied: Access Denied)'})" in str(error)
    assert f"need s3:{PERMISSION[DOING[call]]}." in str(error)
    assert proxy.get_counts().total <= (2 if call == "ranges" else 1)


@pytest.mark.parametrize("call", [call for call in CALLS if call != "head"])
def test_credentials_that_have_expired(proxy: Proxy, proxied: ObjectKeys, call: str) -> None:
    """Expired credentials are told as such, and that the same command goes on with new ones."""
    proxy.add("expired_token", times=None)
    error = fail(call, proxied)

    assert isinstance(error, StoreAccessError)
    assert "the credentials have expired (ExpiredToken). Renew them, then run the same command again." in str(error)


@pytest.mark.parametrize("call", [call for call in CALLS if call != "head"])
def test_a_bucket_that_is_not_there(proxy: Proxy, proxied: ObjectKeys, call: str) -> None:
    """A wrong bucket is not taken for a missing key."""
    proxy.add("no_such_bucket", times=None)
    error = fail(call, proxied)

    assert isinstance(error, NotFoundError)
    assert "there is no such bucket" in str(error)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ("slow_down", "the store is busy: 503 Service Unavailable (SlowDown: Please reduce your request rate)"),
        ("internal_error", "the store answered 500 Internal Server Error (InternalError: We encountered an"),
    ],
)
def test_a_store_that_fails_for_good(proxy: Proxy, proxied: ObjectKeys, call: str, fault: Any, answer: str) -> None:
    """A store that is busy or broken is asked as often as the options say, and then told of."""
    proxy.add(fault, times=None)
    error = fail(call, proxied)

    assert isinstance(error, StoreUnavailableError)
    assert answer.partition(" (")[0] in str(error)
    if call != "head":
        assert answer in str(error)
    assert "un the same command again" in str(error)
    assert proxy.get_counts().total >= 3


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        # One refusal and no answer at all meet every call, the other answers one that reads and one that writes.
        pytest.param(call, fault, marks=[pytest.mark.soak] * (call not in calls))
        for fault, calls in PASSING.items()
        for call in CALLS
    ],
)
def test_faults_that_pass(proxy: Proxy, direct: ObjectKeys, proxied: ObjectKeys, call: str, fault: Any) -> None:
    """One fault of the store or the network is not seen by anybody."""
    if call != "create":
        # Only ranges that lie far apart are asked for one by one.
        direct.put("k", bytes(10_000_001 if call == "ranges" else 100))
    proxy.add(fault)

    CALLS[call](proxied)


def test_a_server_that_is_not_there(s3_bucket: str, storage_options: dict[str, Any]) -> None:
    """A refused connection says so, where, and what to see to."""
    keys = open_url(s3_bucket, storage_options | QUICK | {"endpoint": "http://127.0.0.1:9"})
    error = fail("get", keys)

    assert isinstance(error, StoreUnavailableError)
    assert "Connection refused, 2 retries included (http://127.0.0.1:9). See to the network" in str(error)


def test_a_server_without_tls(s3_bucket: str, storage_options: dict[str, Any]) -> None:
    """An endpoint that speaks http and was taken for https is told as such."""
    endpoint = storage_options["endpoint"].replace("http://", "https://")
    error = fail("get", open_url(s3_bucket, storage_options | QUICK | {"endpoint": endpoint}))

    assert "the endpoint does not speak https, 2 retries included" in str(error)


def test_no_answer_in_time(proxy: Proxy, s3_bucket: str) -> None:
    """Silence is told as such."""
    proxy.add("hang", times=None)
    keys = open_url(s3_bucket, proxy.storage_options | QUICK | {"timeout": "50ms"})
    error = fail("get", keys)

    assert isinstance(error, StoreUnavailableError)
    assert "no answer in time, 2 retries included" in str(error)


class GenericError(Exception):
    """Named as obstore's; what a test server does not say is told here as real services say it."""


ANSWER = "Error performing GET https://x/b/k in 9ms - Server returned non-2xx status code: "
REAL = {
    "wrong key": (
        ANSWER + "403 Forbidden: <Error><Code>InvalidAccessKeyId</Code><Message>It does not exist.</Message></Error>",
        StoreAccessError,
        "not accepted (403 Forbidden (InvalidAccessKeyId: It does not exist))",
    ),
    "no key": (ANSWER + "401 Unauthorized: ", StoreAccessError, "not accepted (401 Unauthorized)"),
    "clock": (
        ANSWER + "403 Forbidden: <Error><Code>RequestTimeTooSkewed</Code></Error>",
        StoreAccessError,
        "the clock of this machine is wrong",
    ),
    "region": (
        "Received redirect without LOCATION, this normally indicates an incorrectly configured region",
        ValueError,
        "in another region. Give its region (AWS_REGION",
    ),
    "machine without credentials": (
        "Error performing PUT http://169.254.169.254/latest/api/token in 1ms - Server returned non-2xx status code: "
        "403 Forbidden: denied",
        StoreAccessError,
        "no credentials were found. Set AWS_ACCESS_KEY_ID",
    ),
    "bucket of Google": (
        ANSWER + "404 Not Found: The specified bucket does not exist.",
        FileNotFoundError,
        "there is no such bucket",
    ),
    "container of Azure": (
        ANSWER + "404 Not Found: <Error><Code>ContainerNotFound</Code></Error>",
        FileNotFoundError,
        "there is no such bucket",
    ),
    "one of many keys": (
        "DeleteObjects request failed for key a/k: Access Denied (code: AccessDenied)",
        StoreAccessError,
        "not allowed (AccessDenied)",
    ),
    "something new": ("It rains.", StoreUnavailableError, "It rains. Run the same command again."),
}


@pytest.mark.parametrize(("text", "kind", "message"), REAL.values(), ids=REAL)
def test_answers_of_real_services(text: str, kind: type[Exception], message: str) -> None:
    """What S3, Google and Azure say of other troubles has its own line."""
    error = explain(GenericError(f"Generic S3 error: {text}\n\nDebug source:\nGeneric {{\n"), "reading", "s3://b/k")

    assert isinstance(error, kind)
    assert message in str(error)
    assert str(error).startswith("reading s3://b/k failed: ")
