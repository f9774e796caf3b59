"""What each fault does to an exchange.

| fault | the server sees | the client sees |
|---|---|---|
| one of REFUSALS | nothing | its status with S3's XML |
| reset | nothing | a reset before any answer; a request body is not read |
| reset_request | nothing | a reset when half of the request's body is read |
| hang | nothing | no answer, for good |
| hold | the request, once it is released | the answer |
| delay | the request, later | the answer |
| corrupt_request | one byte of the body flipped | the answer |
| lose_answer | the request | a reset instead of the answer: the ambiguous write |
| deny_answer | the request | 500 InternalError instead of the answer: the ambiguous write that clients try again |
| reset_answer | the request | half of the body, then a reset |
| truncate_answer | the request | a Content-Length, half of the body, the end of the connection |
| stall_answer | the request | half of the body, then nothing, for good |
| corrupt_answer | the request | one byte of the body flipped |

A reset request never reaches the server, since no S3 server keeps a part of a value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.servers.connections import Pool
from tests.servers.exchange import HOP_BY_HOP, Call, Exchange, Relay
from tests.servers.messages import Body, Head

FRAMING = (b"content-length", b"transfer-encoding", b"trailer")
READING_TIME = 0.02
"""Seconds that a client has to read the part of a body before its connection is reset."""
REFUSALS = {
    "slow_down": (503, "Slow Down", "SlowDown", "Please reduce your request rate."),
    "unavailable": (503, "Service Unavailable", "ServiceUnavailable", "Please try again."),
    "internal_error": (500, "Internal Server Error", "InternalError", "We encountered an internal error."),
    "bad_gateway": (502, "Bad Gateway", "BadGateway", "The server gave no sound answer."),
    "access_denied": (403, "Forbidden", "AccessDenied", "Access Denied"),
    "expired_token": (400, "Bad Request", "ExpiredToken", "The provided token has expired."),
    "no_such_key": (404, "Not Found", "NoSuchKey", "The specified key does not exist."),
    "no_such_bucket": (404, "Not Found", "NoSuchBucket", "The specified bucket does not exist"),
    "precondition_failed": (412, "Precondition Failed", "PreconditionFailed", "A precondition did not hold."),
    "conflict": (409, "Conflict", "ConditionalRequestConflict", "A conflicting operation occurred."),
}
"""Status, reason, S3's code and message by fault."""


class Refusal(Exchange):
    """The proxy answers with an error of S3."""

    def on_body_end(self) -> None:
        assert self.call.rule is not None
        refuse(self, self.call.rule.fault)


def refuse(exchange: Exchange, fault: str) -> None:
    """End an exchange with an error as S3 says it."""
    status, reason, code, message = REFUSALS[fault]
    request = exchange.request
    body = render_error(code, message, f"/{request.bucket}/{request.key}")
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    told = b"" if exchange.method == "HEAD" else body
    request.status, request.bytes_out = status, len(told)
    exchange.answer(head.encode() + told)
    exchange.finish()


class Reset(Exchange):
    """The connection is reset before anything else."""

    def begin(self) -> None:
        self.reset()


class ResetRequest(Exchange):
    """The connection is reset in the request's body."""

    def on_body(self, data: bytes) -> None:
        super().on_body(data)
        if not self._over and self.request.bytes_in >= self.get_position(self.call.head.get_length() or 0):
            self.reset()

    def on_body_end(self) -> None:
        if not self._over:
            self.reset()


class Hang(Exchange):
    """Nothing comes until the client gives up."""


class Hold(Relay):
    """The request waits until it is released."""

    released = False
    waits = False

    def begin(self) -> None:
        self.waits = not self.released
        if self.released:
            super().begin()

    def release(self) -> None:
        """Go on, at once or after the latency."""
        self.released = True
        if self.waits:
            self.begin()


class CorruptRequest(Relay):
    """A byte of the request's body is flipped on its way to the server."""

    def begin(self) -> None:
        self.call.body.payload = bytearray()
        self.client.feed()

    def on_body(self, data: bytes) -> None:
        self.request.bytes_in += len(data)

    def on_body_end(self) -> None:
        super().begin()

    def render_request(self) -> bytes:
        return self.call.head.render(*HOP_BY_HOP, *FRAMING, length=len(self.call.body.payload or b""))

    def send(self) -> None:
        payload = self.call.body.payload or bytearray()
        self.flip(payload)
        self.write(bytes(payload))
        self.request_sent = True


class LoseAnswer(Relay):
    """The request lands, and the client never hears of it."""

    def on_head(self, head: Head, body: Body) -> None:
        """Keep the answer back."""

    def on_data(self, data: bytes) -> None:
        """Keep the answer back."""

    def conclude(self) -> None:
        self.reset()


class DenyAnswer(LoseAnswer):
    """The request lands, and the client is told that it failed."""

    def conclude(self) -> None:
        refuse(self, "internal_error")


class DamagedAnswer(Relay):
    """The whole answer is collected and passed on damaged."""

    payload: bytearray
    head: Head

    def on_head(self, head: Head, body: Body) -> None:
        self.request.status = int(head.start[1])
        self.head = head
        self.payload = body.payload = bytearray()

    def on_data(self, data: bytes) -> None:
        """Keep the answer until it is complete."""

    def tell(self, payload: bytes) -> None:
        """Pass on the head as of a sound answer, and this body."""
        self.request.bytes_out = len(payload)
        if self.method == "HEAD":
            head = self.render_answer(self.head)
        else:
            head = self.render_answer(self.head, *FRAMING, length=len(self.payload))
        self.answer(head + payload)

    def tell_part(self) -> None:
        """Pass on the head and the body up to where it is cut."""
        self.tell(bytes(self.payload[: self.get_position(len(self.payload))]))


class ResetAnswer(DamagedAnswer):
    """The connection is reset in the answer's body."""

    def conclude(self) -> None:
        self.tell_part()
        self._timer = asyncio.get_running_loop().call_later(READING_TIME, self.reset)


class TruncateAnswer(DamagedAnswer):
    """The answer says a length, and fewer bytes come."""

    def conclude(self) -> None:
        self.tell_part()
        self.finish(close=True)


class StallAnswer(DamagedAnswer):
    """The answer stops in its body, and nothing more comes."""

    def conclude(self) -> None:
        self.tell_part()


class CorruptAnswer(DamagedAnswer):
    """A byte of the answer's body is flipped."""

    def conclude(self) -> None:
        self.flip(self.payload)
        self.tell(bytes(self.payload))
        self.finish()


RELAYS: dict[str, Callable[[Call, Pool], Relay]] = {
    "delay": Relay,
    "hold": Hold,
    "corrupt_request": CorruptRequest,
    "lose_answer": LoseAnswer,
    "deny_answer": DenyAnswer,
    "reset_answer": ResetAnswer,
    "truncate_answer": TruncateAnswer,
    "stall_answer": StallAnswer,
    "corrupt_answer": CorruptAnswer,
}
"""Faults that need the server."""
ALONE: dict[str, Callable[[Call], Exchange]] = {
    "reset": Reset,
    "reset_request": ResetRequest,
    "hang": Hang,
    **dict.fromkeys(REFUSALS, Refusal),
}
"""Faults that the proxy makes alone."""


def make_exchange(call: Call, pool: Pool) -> Exchange:
    """Return the exchange that a request gets, given the rule that it met."""
    if call.rule is None:
        return Relay(call, pool)
    fault = call.rule.fault
    return ALONE[fault](call) if fault in ALONE else RELAYS[fault](call, pool)


def render_error(code: str, message: str, resource: str) -> bytes:
    """Return an error as S3 says it."""
    resource = resource.replace("&", "&amp;").replace("<", "&lt;")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message><Resource>{resource}</Resource>"
        "<RequestId>0000000000000000</RequestId></Error>"
    ).encode()
