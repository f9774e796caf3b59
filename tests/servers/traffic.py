"""What went through the proxy: each request, and their counts by kind."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.servers.messages import Head

LOG_LENGTH = 200_000
"""Requests that are remembered one by one, some 80 MB; all are counted."""


@dataclass(slots=True)
class Request:
    """One request. The fields after `conditional` fill while it runs."""

    number: int
    """Position among all requests since the counters were reset, from 0."""
    kind: str
    """GET, RANGE (a GET of some bytes), LIST, HEAD, PUT, POST or DELETE."""
    bucket: str
    """First part of the path."""
    key: str
    """Rest of the path, decoded; of a LIST its prefix."""
    query: str
    """As it came."""
    conditional: bool
    """Whether it says If-Match or If-None-Match."""
    fault: str = ""
    """Name of the fault that it met."""
    bytes_in: int = 0
    """Body of the request, as far as the proxy read it."""
    bytes_out: int = 0
    """Body of the answer, as far as the proxy passed it on."""
    status: int = 0
    """Status that the client was told; 0 where it was told none."""
    landed: bool = False
    """Whether the server answered, so that whatever was asked for happened there."""
    done: bool = False
    """Whether nothing more happens: answered, or the connection is gone."""


class Traffic:
    """All requests since the last reset."""

    def __init__(self, log_length: int = LOG_LENGTH) -> None:
        self.log: deque[Request] = deque(maxlen=log_length)
        self._open: dict[int, int] = {}
        self._resets = 0
        self.reset()

    def reset(self) -> None:
        """Forget all requests; of those in flight it is only known that they are."""
        self.log.clear()
        self._resets += 1
        self.started: Counter[str] = Counter()
        self.faults = 0
        self.bytes_in = self.bytes_out = 0
        self.number = 0
        self.peak_in_flight = self.in_flight

    @property
    def in_flight(self) -> int:
        """Requests that are not over."""
        return len(self._open)

    def start(self, head: Head) -> Request:
        """Count a request that begins."""
        kind, bucket, key, query = classify(head)
        conditional = b"if-none-match" in head.headers or b"if-match" in head.headers
        request = Request(self.number, kind, bucket, key, query, conditional)
        self.log.append(request)
        self.number += 1
        self.started[kind] += 1
        self._open[id(request)] = self._resets
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        return request

    def end(self, request: Request) -> None:
        """Count what a request moved."""
        request.done = True
        if self._open.pop(id(request)) == self._resets:
            self.bytes_in += request.bytes_in
            self.bytes_out += request.bytes_out

    def select(self, *, bucket: str, prefix: str) -> Iterator[Request]:
        """Yield the requests whose keys begin with a prefix, in the order in which they came."""
        if self.number > len(self.log):
            raise LookupError(f"{self.number} requests, of which the last {len(self.log)} are remembered one by one")
        return (item for item in self.log if item.key.startswith(prefix) and bucket in ("", item.bucket))

    def count(self, *, bucket: str = "", prefix: str = "") -> dict[str, Any]:
        """Return counts by kind and bytes, of all requests or of those below a prefix."""
        counts = {"in_flight": self.in_flight, "peak_in_flight": self.peak_in_flight}
        if not bucket and not prefix:
            mine = {"requests": self.started, "bytes_in": self.bytes_in, "bytes_out": self.bytes_out}
            return counts | mine | {"faults": self.faults}
        found = list(self.select(bucket=bucket, prefix=prefix))
        return counts | {
            "requests": Counter(item.kind for item in found),
            "bytes_in": sum(item.bytes_in for item in found),
            "bytes_out": sum(item.bytes_out for item in found),
            "faults": sum(bool(item.fault) for item in found),
        }

    def describe(self, *, bucket: str = "", prefix: str = "") -> list[dict[str, Any]]:
        """Return the requests below a prefix as plain data."""
        return [asdict(item) for item in self.select(bucket=bucket, prefix=prefix)]


def classify(head: Head) -> tuple[str, str, str, str]:
    """Return the kind, bucket, key and query of a request with path-style addressing."""
    method = head.start[0].decode()
    path, _, query = head.start[1].decode("latin-1").partition("?")
    bucket, _, key = path.lstrip("/").partition("/")
    if method == "GET" and not key and not _asks_about_bucket(query):
        return "LIST", bucket, parse_qs(query).get("prefix", [""])[0], query
    if method == "GET" and b"range" in head.headers:
        method = "RANGE"
    return method, bucket, unquote(key) if "%" in key else key, query


def _asks_about_bucket(query: str) -> bool:
    """Whether a GET of a bucket asks for something else than its keys: `?location`, `?uploads`, ..."""
    return bool(query) and not query.partition("&")[0].partition("=")[2]
