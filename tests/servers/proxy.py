"""An HTTP/1.1 proxy before an S3 server: adds latency, counts requests, makes faults.

    python -m tests.servers.proxy --upstream http://127.0.0.1:5000

It passes the Host of the client on, so that signatures stay right; the server must take path-style addressing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
from urllib.parse import urlsplit

from tests.servers.connections import Client, Pool, serve_clients
from tests.servers.control import PREFIX, ControlExchange
from tests.servers.exchange import Call, Exchange
from tests.servers.faults import Hold, make_exchange
from tests.servers.lifeline import end_with_parent
from tests.servers.messages import Body, Head
from tests.servers.rules import RuleBook
from tests.servers.traffic import Request, Traffic


class ProxyServer:
    """Makes an exchange of each request, as the rules say."""

    def __init__(self, host: str, port: int, *, latency: float = 0.0) -> None:
        self.rules = RuleBook()
        self.traffic = Traffic()
        self.latency = latency
        self._pool = Pool(host, port)
        self._open: dict[int, Exchange] = {}

    def dispatch(self, client: Client, head: Head, body: Body) -> Exchange:
        """Return the exchange for a request."""
        if head.start[1].startswith(PREFIX):
            return ControlExchange(client, head, body, self)
        request = self.traffic.start(head)
        rule = self.rules.find(request)
        delay = self.latency
        if rule is not None:
            self.traffic.faults += 1
            request.fault = rule.fault
            delay += rule.seconds
        exchange = make_exchange(Call(client, head, body, request, rule, delay, self._end), self._pool)
        self._open[id(request)] = exchange
        return exchange

    def release(self) -> int:
        """Let all held requests go on, and return how many."""
        held = [exchange for exchange in self._open.values() if isinstance(exchange, Hold) and not exchange.released]
        for exchange in held:
            exchange.release()
        return len(held)

    def reset(self) -> None:
        """Drop whatever is in flight, and all rules, counts and latency."""
        for exchange in list(self._open.values()):
            exchange.on_client_lost()
            exchange.reset()
        self.rules.entries.clear()
        self.traffic.reset()
        self.latency = 0.0

    def _end(self, request: Request) -> None:
        if self._open.pop(id(request), None) is not None:
            self.traffic.end(request)


async def serve(upstream: str, *, latency: float, port: int) -> None:
    """Serve until the process ends."""
    address = urlsplit(upstream)
    if address.scheme != "http" or address.hostname is None:
        raise SystemExit(f"--upstream {upstream}: the proxy speaks plain HTTP only. Give http://host:port.")
    proxy = ProxyServer(address.hostname, address.port or 80, latency=latency)
    await serve_clients(proxy, port)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="Adds latency and faults before an S3 server, and counts requests.")
    parser.add_argument("--upstream", required=True, help="URL of the server")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that each request waits (0)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (a free one)")
    parser.add_argument("--alone", action="store_true", help="go on when stdin ends or the parent is gone")
    arguments = parser.parse_args()
    if not arguments.alone:
        end_with_parent()
    # What is remembered of requests is never garbage: looking for cycles in it again and again costs a fifth.
    gc.freeze()
    gc.set_threshold(50_000, 50, 1000)
    asyncio.run(serve(arguments.upstream, latency=arguments.latency, port=arguments.port))


if __name__ == "__main__":
    main()
