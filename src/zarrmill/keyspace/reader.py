"""Values and parts of them, as they come over the wire; a short one is never taken for a whole."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from functools import partial
from typing import Any

from zarrmill.errors import NotFoundError, StoreUnavailableError
from zarrmill.keyspace.etags import Reading
from zarrmill.keyspace.model import Buffer
from zarrmill.keyspace.ranges import Span
from zarrmill.keyspace.wire import BeyondEndError, WholeOnlyError, Wire


class Reader:
    """Reads values by path; what is missing is None."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def read(
        self, path: str, *, suffix: int | None = None, span: Span | None = None, with_etag: bool = False
    ) -> Reading | None:
        """Return a value, its last bytes or a span, and its ETag where that is asked for, which takes time."""
        part: Any = span if suffix is None else {"suffix": suffix}
        options = {} if part is None else {"options": {"range": part}}

        def read() -> tuple[memoryview, str | None, int]:
            result = self._wire.client.get(path, **options)
            # Nothing can be asked of a result whose bytes were taken.
            etag, (start, end) = result.meta["e_tag"] if with_etag else None, result.range
            return memoryview(result.bytes()), etag, end - start

        try:
            found = self._wire.ask("reading", path, read, kind="gets", nbytes=_first_length)
        except BeyondEndError:
            return memoryview(b""), None
        except WholeOnlyError:
            whole = self.read(path)
            end = slice(*span) if span else slice(-(suffix or 0), None)
            return None if whole is None else (whole[0][end], None)
        if found is None:
            return None
        data, etag, promised = found
        if len(data) != promised:
            self._check_length(path, len(data), promised)
        return data, etag

    def read_part(self, path: str, start: int, nbytes: int) -> Buffer | None:
        """Return a part of a value, shorter only where that ends."""
        try:
            read = partial(self._wire.client.get_range, path, start=start, length=nbytes)
            found = self._wire.ask("reading", path, read, kind="gets", nbytes=len)
        except BeyondEndError:
            return b""
        except WholeOnlyError:
            parts = self._cut(path, [(start, start + nbytes)])
            return None if parts is None else parts[0]
        return None if found is None else self._take(path, found, (start, start + nbytes))

    def read_spans(self, path: str, spans: Sequence[Span]) -> list[Buffer] | None:
        """Return several parts of a value, each by one request and all at once."""
        if len(spans) < 2:
            return self._read_each(path, spans)
        starts, ends = zip(*spans, strict=True)
        try:
            read = partial(self._wire.client.get_ranges, path, starts=starts, ends=ends, coalesce=0)
            found = self._wire.ask("reading", path, read, kind="gets", count=len(spans), nbytes=_lengths)
        except BeyondEndError:
            return self._read_each(path, spans)
        except WholeOnlyError:
            return self._cut(path, spans)
        if found is None:
            return None
        return [self._take(path, part, span) for part, span in zip(found, spans, strict=True)]

    def _read_each(self, path: str, spans: Sequence[Span]) -> list[Buffer] | None:
        parts = [self.read_part(path, start, end - start) for start, end in spans]
        return None if None in parts else [part for part in parts if part is not None]

    def _cut(self, path: str, spans: Sequence[Span]) -> list[Buffer] | None:
        """Return several parts of a value that can be read as a whole only."""
        whole = self.read(path)
        return None if whole is None else [whole[0][start:end] for start, end in spans]

    def _take(self, path: str, part: Any, span: Span) -> memoryview:
        """Return the bytes of a part, which may be short where the value ends and nowhere else."""
        data = memoryview(part)
        end = span[0] + len(data)
        if end < span[1]:
            found = self._wire.head(path)
            if found is None:
                raise NotFoundError(f"{self._wire.where(path)} was removed while it was read.")
            self._check_length(path, end, found["size"])
        return data

    def _check_length(self, path: str, found: int, promised: int) -> None:
        if found != promised:
            raise StoreUnavailableError(
                f"{self._wire.where(path)}: {found} bytes came of {promised} that the store promised. "
                f"Run the same command again."
            )


def _first_length(found: tuple[memoryview, str | None, int]) -> int:
    return len(found[0])


def _lengths(parts: Sequence[Sized]) -> int:
    return sum(map(len, parts))
