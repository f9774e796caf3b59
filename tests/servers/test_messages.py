"""servers/messages.py: where a head and a body end, however the bytes come."""

from __future__ import annotations

import pytest

from tests.servers.messages import Body, ChunkedBody, frame_answer, frame_request, parse_head
from tests.servers.traffic import classify

CHUNKED = b"5;name=value\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n"


def feed(body, data, step):
    """Give a body some bytes at a time, and return how many it took."""
    taken = 0
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        count = body.take(piece)
        taken += count
        if count < len(piece):
            break
    return taken


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_a_chunked_body_ends_after_its_trailers(step):
    """In whatever pieces it comes, and what follows is left."""
    body = ChunkedBody()
    body.payload = bytearray()

    assert feed(body, CHUNKED + b"GET / HTTP/1.1\r\n", step) == len(CHUNKED)
    assert body.done
    assert body.payload == b"hello world"


@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_body_ends_after_its_length(step):
    """What follows belongs to the next message."""
    body = Body(5)
    body.payload = bytearray()

    assert feed(body, b"hello world", step) == 5
    assert body.done
    assert body.payload == b"hello"


@pytest.mark.parametrize(
    ("method", "head", "done", "with_connection"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 3", False, False),
        ("GET", b"HTTP/1.1 200 OK\r\ncontent-length: 0", True, False),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", False, False),
        ("GET", b"HTTP/1.1 200 OK", False, True),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 3", True, False),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3", True, False),
        ("DELETE", b"HTTP/1.1 204 No Content", True, False),
    ],
    ids=str,
)
def test_where_answers_end(method, head, done, with_connection):
    """By length, by chunks, with the connection, or at once."""
    body = frame_answer(parse_head(head), method)

    assert (body.done, body.ends_with_connection) == (done, with_connection)


def test_a_request_without_a_length_has_no_body():
    """It ends with its head."""
    assert frame_request(parse_head(b"PUT / HTTP/1.1\r\nHost: x")).done


def test_a_head_is_rendered_without_some_headers():
    """All others stay as they came; a length is put at the end."""
    head = parse_head(b"PUT /a HTTP/1.1\r\nHOST: x\r\nContent-length: 3\r\nExpect: 100-continue")

    assert head.render() == head.raw + b"\r\n\r\n"
    assert head.render(b"expect") == b"PUT /a HTTP/1.1\r\nHOST: x\r\nContent-length: 3\r\n\r\n"
    assert head.render(b"expect", b"content-length", length=4) == (
        b"PUT /a HTTP/1.1\r\nHOST: x\r\nContent-Length: 4\r\n\r\n"
    )


def test_nonsense_is_refused():
    """A first line without a space is no HTTP."""
    with pytest.raises(ValueError, match="not the first line"):
        parse_head(b"\x16\x03\x01")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET /b/a/k", ("GET", "b", "a/k")),
        ("GET /b/a%2Fk%20%C3%A4", ("GET", "b", "a/k ä")),
        ("GET /b/k?partNumber=1&uploadId=x", ("GET", "b", "k")),
        ("GET /b?list-type=2&prefix=a%2Fb", ("LIST", "b", "a/b")),
        ("GET /b/?prefix=a", ("LIST", "b", "a")),
        ("GET /b", ("LIST", "b", "")),
        ("GET /b?location", ("GET", "b", "")),
        ("GET /b?uploads=&prefix=a", ("GET", "b", "")),
        ("POST /b?delete", ("POST", "b", "")),
        ("DELETE /b/k", ("DELETE", "b", "k")),
        ("HEAD /b/k", ("HEAD", "b", "k")),
    ],
    ids=str,
)
def test_requests_are_told_apart(line, expected):
    """Kind, bucket and key from the first line."""
    assert classify(parse_head(f"{line} HTTP/1.1".encode()))[:3] == expected


def test_a_get_with_a_range_is_a_kind_of_its_own():
    """Part of a value."""
    assert classify(parse_head(b"GET /b/k HTTP/1.1\r\nRange: bytes=0-9"))[0] == "RANGE"
