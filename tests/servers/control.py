"""The proxy's own requests, below `/__proxy__/`: rules, latency, counters. client.py speaks to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import responses
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.servers.exchange import Answer
from tests.servers.messages import Body, Head
from tests.servers.rules import Entry, Rule

if TYPE_CHECKING:
    from tests.servers.connections import Client
    from tests.servers.proxy import ProxyServer

PREFIX = b"/__proxy__/"


class ControlExchange(Answer):
    """A request to the proxy itself."""

    def __init__(self, client: Client, head: Head, body: Body, server: ProxyServer) -> None:
        super().__init__(client, head, body)
        self._server = server

    def respond(self, payload: bytes) -> bytes:
        path, _, query = self.call.head.start[1].decode("latin-1").removeprefix(PREFIX.decode()).partition("?")
        options = {name: values[0] for name, values in parse_qs(query).items()}
        try:
            given = json.loads(payload or b"{}")
            status, result = 200, COMMANDS[f"{self.method} {path}"](self._server, given | options)
        except (KeyError, TypeError, ValueError, LookupError) as error:
            status, result = 400, {"error": f"{type(error).__name__}: {error}"}
        body = json.dumps(result).encode()
        head = f"HTTP/1.1 {status} {responses[status]}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        return head.encode() + b"\r\n\r\n" + body


def add_rule(server: ProxyServer, options: dict[str, Any]) -> dict[str, int]:
    """Put a rule after the others and return its position."""
    server.rules.entries.append(Entry(Rule.from_json(options)))
    return {"rule": len(server.rules.entries) - 1}


def list_rules(server: ProxyServer, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rules with their counts."""
    return list(server.rules.describe())


def clear_rules(server: ProxyServer, options: dict[str, Any]) -> dict[str, int]:
    """Drop all rules; requests that hang go on to hang."""
    server.rules.entries.clear()
    return {}


def set_latency(server: ProxyServer, options: dict[str, Any]) -> dict[str, float]:
    """Set the seconds that each request waits before it goes to the server."""
    server.latency = float(options["seconds"])
    return {"seconds": server.latency}


def count(server: ProxyServer, options: dict[str, Any]) -> dict[str, Any]:
    """Return the counters, of all requests or of those below a prefix."""
    return server.traffic.count(bucket=options.get("bucket", ""), prefix=options.get("prefix", ""))


def list_requests(server: ProxyServer, options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the requests one by one."""
    return server.traffic.describe(bucket=options.get("bucket", ""), prefix=options.get("prefix", ""))


def reset_counters(server: ProxyServer, options: dict[str, Any]) -> dict[str, int]:
    """Start counting from nothing."""
    server.traffic.reset()
    return {}


def release(server: ProxyServer, options: dict[str, Any]) -> dict[str, int]:
    """Let the requests go on that a rule holds."""
    return {"released": server.release()}


def reset(server: ProxyServer, options: dict[str, Any]) -> dict[str, int]:
    """Be as after the start: no rules, counts or latency, and whatever is in flight is dropped."""
    server.reset()
    return {}


COMMANDS: dict[str, Callable[[ProxyServer, dict[str, Any]], Any]] = {
    "POST rules": add_rule,
    "GET rules": list_rules,
    "DELETE rules": clear_rules,
    "PUT latency": set_latency,
    "GET counters": count,
    "DELETE counters": reset_counters,
    "GET requests": list_requests,
    "POST release": release,
    "POST reset": reset,
}
