"""Requests to one bucket, each counted, and its faults explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from zarrmill.errors import NotFoundError, SourceFormatError
from zarrmill.keyspace.etags import Reading
from zarrmill.keyspace.faults import explain, ignores_ranges, is_beyond_end, names_bucket
from zarrmill.keyspace.link import Link
from zarrmill.keyspace.model import Buffer, Names, RequestCounts, join
from zarrmill.keyspace.ranges import Span

PAGE_KEYS = 1000
"""Keys of one page of a listing, and of one request that deletes: the most that S3 allows."""

Found = dict[str, Any]
"""What the client tells of a path."""
T = TypeVar("T")


class BeyondEndError(Exception):
    """A read starts where the value has ended already."""


class WholeOnlyError(Exception):
    """The whole value came where a part was asked for: some web servers read no ranges, some no empty ones."""


class Wire:
    """Requests by path below the root of a link; what is missing is None."""

    def __init__(self, link: Link, counts: RequestCounts) -> None:
        self.link = link
        self.counts = counts
        self._client = link.client

    def where(self, path: str) -> str:
        """Return a path as people are shown it."""
        return join(self.link.location, path)

    def read(self, path: str, part: Any = None, *, with_etag: bool = False) -> Reading | None:
        """Return a value, a span of it or its last bytes ({"suffix": n}), and, which takes time, its ETag if asked."""

        def read() -> tuple[memoryview, str | None, int]:
            result = self._client.get(path, **({} if part is None else {"options": {"range": part}}))
            # Nothing can be asked of a result whose bytes were taken.
            etag, (start, end) = result.meta["e_tag"] if with_etag else None, result.range
            return memoryview(result.bytes()), etag, end - start

        try:
            found = self._ask("reading", path, read, kind="gets")
        except BeyondEndError:
            return memoryview(b""), None
        except WholeOnlyError:
            whole = self.read(path)
            end = slice(*part) if isinstance(part, tuple) else slice(-(part or {}).get("suffix", 0), None)
            return None if whole is None else (whole[0][end], None)
        if found is None:
            return None
        data, etag, promised = found
        self.counts.add("gets", 0, read=len(data))
        self._check_length(path, len(data), promised)
        return data, etag

    def read_part(self, path: str, start: int, nbytes: int) -> Buffer | None:
        """Return a part of a value, shorter only where that ends."""
        try:
            read = partial(self._client.get_range, path, start=start, length=nbytes)
            found = self._ask("reading", path, read, kind="gets")
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
            read = partial(self._client.get_ranges, path, starts=starts, ends=ends, coalesce=0)
            found = self._ask("reading", path, read, kind="gets", count=len(spans))
        except BeyondEndError:
            return self._read_each(path, spans)
        except WholeOnlyError:
            return self._cut(path, spans)
        if found is None:
            return None
        return [self._take(path, part, span) for part, span in zip(found, spans, strict=True)]

    def head(self, path: str) -> Found | None:
        """Return what the store tells of a path."""
        found: Found | None = self._ask("asking for", path, lambda: self._client.head(path), kind="heads")
        return found

    def write(self, path: str, data: Buffer, *, mode: str) -> None:
        """Write a value with one request, in mode "overwrite" or "create"."""
        writer = self.link.check_writer()
        self.counts.add("puts", written=memoryview(data).nbytes)
        try:
            writer.put(path, data, mode=mode, use_multipart=False)
        except Exception as error:
            raise explain(error, "writing", self.where(path)) from error

    def remove(self, paths: list[str]) -> None:
        """Remove up to PAGE_KEYS paths; those that are missing are no error."""
        self.link.check_writer()
        count = -(-len(paths) // self.link.keys_per_delete)
        done = self._ask("removing", paths[0], lambda: self._client.delete(paths) is None, kind="deletes", count=count)
        # A service without removal in bulk stops at the first that is missing.
        if done is None and len(paths) > 1:
            for path in paths:
                self.remove([path])

    def pages(self, path: str, *, page_keys: int = PAGE_KEYS) -> Iterator[list[Found]]:
        """Yield what the store tells of every path below a folder."""
        self.link.check_lists()
        pages = self._client.list(path or None, chunk_size=page_keys)
        # The client fills its pages, so that a short one is the last.
        page: list[Found] | None = None
        while page is None or len(page) == page_keys:
            page = self._ask("listing", path, lambda: next(pages, None), kind="lists")
            if page is None:
                return
            yield page

    def folder(self, path: str) -> Names:
        """Return the names of the folders and of the keys directly below a folder."""
        self.link.check_lists()
        found = self._ask("listing", path, lambda: self._client.list_with_delimiter(path or None), kind="lists")
        if found is None:
            return [], []
        names = _names(found)
        self.counts.add("lists", max(0, sum(map(len, names)) - 1) // PAGE_KEYS)
        return names

    def _ask(self, doing: str, path: str, request: Callable[[], T], *, kind: str, count: int = 1) -> T | None:
        """Return what a request brings, None where the path is missing."""
        self.counts.add(kind, count)
        try:
            return request()
        except FileNotFoundError as error:
            if names_bucket(error):
                raise explain(error, doing, self.where(path)) from error
            return None
        except Exception as error:
            if is_beyond_end(error):
                raise BeyondEndError from error
            if ignores_ranges(error):
                raise WholeOnlyError from error
            raise explain(error, doing, self.where(path)) from error

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
        self.counts.add("gets", 0, read=len(data))
        end = span[0] + len(data)
        if end < span[1]:
            found = self.head(path)
            if found is None:
                raise NotFoundError(f"{self.where(path)} was removed while it was read")
            self._check_length(path, end, found["size"])
        return data

    def _check_length(self, path: str, found: int, promised: int) -> None:
        if found != promised:
            raise SourceFormatError(f"{self.where(path)}: {found} bytes came of {promised} that the store promised.")


def _names(found: Found) -> Names:
    folders = [path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]]
    return folders, [entry["path"].rpartition("/")[2] for entry in found["objects"]]
