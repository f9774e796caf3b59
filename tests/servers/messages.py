"""HTTP/1.1 as bytes: heads of messages, and where a body ends."""

from __future__ import annotations

from dataclasses import dataclass

HEAD_END = b"\r\n\r\n"


@dataclass(slots=True)
class Head:
    """A request line or status line, and the headers below it."""

    start: list[bytes]
    """The three parts of the first line."""
    headers: dict[bytes, bytes]
    """Values by name in lower case; of a name that comes twice, the last."""
    raw: bytes
    """As it came, without the empty line at its end."""

    def get_length(self) -> int | None:
        """Return the Content-Length, or None where there is none."""
        value = self.headers.get(b"content-length")
        return None if value is None else int(value)

    def is_chunked(self) -> bool:
        """Whether the body comes in chunks that say their lengths."""
        return b"chunked" in self.headers.get(b"transfer-encoding", b"").lower()

    def says_close(self) -> bool:
        """Whether the sender closes the connection after this message."""
        return self.headers.get(b"connection", b"").lower() == b"close" or b"HTTP/1.0" in self.start

    def render(self, *without: bytes, length: int | None = None) -> bytes:
        """Return the head and its empty line: without some headers, with a Content-Length where given."""
        if length is None and not any(name in self.headers for name in without):
            return self.raw + HEAD_END
        lines = [line for line in self.raw.split(b"\r\n") if line.partition(b":")[0].lower() not in without]
        if length is not None:
            lines.append(b"Content-Length: %d" % length)
        return b"\r\n".join([*lines, b"", b""])


def parse_head(raw: bytes) -> Head:
    """Return the head that these bytes are, the empty line at the end left out."""
    first, *lines = raw.split(b"\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    start = first.split(b" ", 2)
    if len(start) < 2:
        raise ValueError(f"not the first line of an HTTP message: {first[:100]!r}")
    return Head(start, headers, raw)


class Body:
    """Where a body of known length ends. `payload` collects what it says, where asked."""

    __slots__ = ("left", "payload")
    ends_with_connection = False

    def __init__(self, length: int) -> None:
        self.left = length
        self.payload: bytearray | None = None

    @property
    def done(self) -> bool:
        """Whether the body is complete."""
        return self.left == 0

    def take(self, data: bytes) -> int:
        """Return how many of these bytes, from the first on, belong to the body."""
        count = min(len(data), self.left)
        self.left -= count
        if self.payload is not None:
            self.payload += data[:count]
        return count


class ChunkedBody(Body):
    """Where a body ends that comes in chunks."""

    __slots__ = ("_line", "_state", "finished")

    def __init__(self) -> None:
        super().__init__(0)
        self._line = bytearray()
        self._state = "size"
        self.finished = False

    @property
    def done(self) -> bool:
        return self.finished

    def take(self, data: bytes) -> int:
        position = 0
        while position < len(data) and not self.finished:
            if self._state == "data":
                position += super().take(data[position:])
                self._state = "data" if self.left else "end"
            else:
                position = self._take_line(data, position)
        return position

    def _take_line(self, data: bytes, position: int) -> int:
        end = data.find(b"\n", position)
        self._line += data[position:] if end < 0 else data[position : end + 1]
        if end < 0:
            return len(data)
        line = bytes(self._line).strip()
        self._line.clear()
        if self._state == "size":
            self.left = int(line.partition(b";")[0], 16)
            self._state = "data" if self.left else "trailer"
        elif self._state == "end":
            self._state = "size"
        else:
            self.finished = not line
        return end + 1


class EndlessBody(Body):
    """A body that ends where the connection does."""

    __slots__ = ()
    ends_with_connection = True

    def __init__(self) -> None:
        super().__init__(1)

    def take(self, data: bytes) -> int:
        if self.payload is not None:
            self.payload += data
        return len(data)


def frame_request(head: Head) -> Body:
    """Return where the body of a request ends."""
    return ChunkedBody() if head.is_chunked() else Body(head.get_length() or 0)


def frame_answer(head: Head, method: str) -> Body:
    """Return where the body of an answer to a method ends."""
    status = int(head.start[1])
    if method == "HEAD" or status in (204, 304):
        return Body(0)
    if head.is_chunked():
        return ChunkedBody()
    length = head.get_length()
    return EndlessBody() if length is None else Body(length)
