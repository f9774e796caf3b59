"""The proxy as a test sees it: a process, its endpoint, its rules and counters."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

from tests.servers.process import ServerProcess
from tests.servers.rules import Fault, Rule
from tests.servers.s3 import S3Server
from tests.servers.traffic import Request


@dataclass(frozen=True)
class Counts:
    """Requests since the counters were reset."""

    requests: dict[str, int]
    """By kind: GET, RANGE, LIST, HEAD, PUT, POST, DELETE; kinds that did not come are missing."""
    bytes_in: int
    """Bodies of requests that are over."""
    bytes_out: int
    """Bodies of answers that are over."""
    faults: int
    """Requests that met a fault."""
    in_flight: int
    """Requests that are not over, of all prefixes."""
    peak_in_flight: int
    """Most requests at the same time, of all prefixes."""

    def __getitem__(self, kind: str) -> int:
        return self.requests.get(kind, 0)

    @property
    def total(self) -> int:
        """Requests of all kinds."""
        return sum(self.requests.values())


class Proxy:
    """A running proxy before an S3 server."""

    def __init__(self, server: S3Server, *, latency: float = 0.0) -> None:
        self.server = server
        arguments = ("--upstream", server.endpoint, "--latency", str(latency))
        self.process = ServerProcess("tests.servers.proxy", *arguments)
        self.endpoint = self.process.endpoint

    @property
    def storage_options(self) -> dict[str, Any]:
        """What `obstore.store.from_url(url, **storage_options)` needs to reach the server through the proxy."""
        return self.server.storage_options | {"endpoint": self.endpoint}

    def add(self, fault: Fault, **options: Any) -> int:
        """Put a rule after the others, with the fields of `Rule`, and return its position."""
        rule = Rule(fault=fault, **options)
        return int(self._ask("POST", "rules", rule.to_json())["rule"])

    def clear(self) -> None:
        """Drop all rules."""
        self._ask("DELETE", "rules")

    def get_hits(self, rule: int) -> int:
        """Return how many requests met the fault of a rule."""
        return int(self._ask("GET", "rules")[rule]["hits"])

    def await_hits(self, rule: int, hits: int = 1, *, timeout: float = 30.0) -> None:
        """Return as soon as a rule was met so often: the request then hangs, is held, or is answered."""
        self._await(lambda: self.get_hits(rule) >= hits, f"rule {rule} was not met {hits} times", timeout)

    def await_quiet(self, *, timeout: float = 30.0) -> None:
        """Return as soon as no request is in flight."""
        self._await(lambda: self.get_counts().in_flight == 0, "requests are still in flight", timeout)

    def release(self) -> int:
        """Let the requests go on that a `hold` keeps, and return how many."""
        return int(self._ask("POST", "release")["released"])

    def set_latency(self, seconds: float) -> None:
        """Let each request from now on wait before it goes to the server."""
        self._ask("PUT", "latency", {"seconds": seconds})

    def get_counts(self, prefix: str = "", *, bucket: str = "") -> Counts:
        """Return the counters, of all requests or of those whose keys begin with a prefix."""
        return Counts(**self._ask("GET", f"counters?{urlencode({'prefix': prefix, 'bucket': bucket})}"))

    def get_requests(self, prefix: str = "", *, bucket: str = "") -> list[Request]:
        """Return the requests in the order in which they came."""
        found = self._ask("GET", f"requests?{urlencode({'prefix': prefix, 'bucket': bucket})}")
        return [Request(**item) for item in found]

    def reset_counts(self) -> None:
        """Count from nothing."""
        self._ask("DELETE", "counters")

    def reset(self) -> None:
        """Be as after the start: no rules, counts or latency; whatever is in flight is dropped."""
        self._ask("POST", "reset")

    def stop(self) -> None:
        """End the process; on return it is gone."""
        self.process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ask(self, method: str, path: str, payload: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.process.port, timeout=30)
        try:
            connection.request(method, f"/__proxy__/{path}", None if payload is None else json.dumps(payload))
            answer = connection.getresponse()
            result = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"{method} {path}: {result['error']}")
        return result

    def _await(self, holds: Any, complaint: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{complaint} within {timeout:g} s")
            time.sleep(0.005)
