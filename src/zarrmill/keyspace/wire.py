"""Requests to one bucket, each counted, and its faults explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from zarrmill.errors import StoreUnavailableError
from zarrmill.keyspace.faults import broke_off, explain, ignores_ranges, is_beyond_end, names_bucket
from zarrmill.keyspace.link import Link
from zarrmill.keyspace.model import Buffer, Names, RequestCounts, flat, join

PAGE_KEYS = 1000
"""Keys of one page of a listing, and of one request that deletes: the most that S3 allows."""

PART_BYTES = 16 * 2**20
"""Bytes of a part of a file that is sent in parts: few requests, and little to send again after a fault."""
MOST_PARTS = 9000
"""Parts of one value: S3 allows 10,000."""
REPEATS = 3
"""Times that a listing or a removal is made again whose answer broke off."""

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
        self.client = link.client

    def where(self, path: str) -> str:
        """Return a path as people are shown it."""
        return join(self.link.location, path)

    def head(self, path: str) -> Found | None:
        """Return what the store tells of a path."""
        found: Found | None = self.ask("asking for", path, lambda: self.client.head(path), kind="heads")
        return found

    def write(self, path: str, data: Buffer, *, mode: str) -> str | None:
        """Write a value with one request, in mode "overwrite" or "create"; return its ETag."""
        writer = self.link.check_writer()
        payload = bytes(data) if self.link.keeps_buffers else flat(data)
        self.counts.add("puts", written=len(payload))
        try:
            done: Found = writer.put(path, payload, mode=mode, use_multipart=False)
        except Exception as error:
            raise explain(error, "writing", self.where(path)) from error
        etag: str | None = done["e_tag"]
        return etag

    def write_file(self, path: str, file: Path) -> None:
        """Write a value from a file: with one request, or in parts that become visible together."""
        writer, nbytes = self.link.check_writer(), file.stat().st_size
        part = max(PART_BYTES, -(-nbytes // MOST_PARTS))
        # The parts, and the requests that begin and end them.
        self.counts.add("puts", 1 if nbytes <= part else 2 + -(-nbytes // part), written=nbytes)
        try:
            writer.put(path, file, mode="overwrite", chunk_size=part)
        except Exception as error:
            raise explain(error, "writing", self.where(path)) from error

    def remove(self, paths: list[str]) -> None:
        """Remove up to PAGE_KEYS paths; those that are missing are no error."""
        self.link.check_writer()
        count = -(-len(paths) // self.link.keys_per_delete)

        remove = partial(self._remove, paths)
        done = self._insist(lambda: self.ask("removing", paths[0], remove, kind="deletes", count=count))
        # A service without removal in bulk stops at the first that is missing.
        if done is None and len(paths) > 1:
            for path in paths:
                self.remove([path])

    def pages(self, path: str, *, page_keys: int = PAGE_KEYS) -> Iterator[list[Found]]:
        """Yield what the store tells of every path below a folder."""
        self.link.check_lists()
        stream: Iterator[list[Found]] | None = None
        last: str | None = None

        def next_page() -> list[Found] | None:
            nonlocal stream
            found = self.client.list(path or None, offset=last, chunk_size=page_keys) if stream is None else stream
            # One that breaks off begins anew behind the last key that came.
            stream = None
            page: list[Found] | None = self.ask("listing", path, lambda: next(found, None), kind="lists")
            stream = found
            return page

        # The client fills its pages, so that a short one is the last.
        page: list[Found] | None = None
        while page is None or len(page) == page_keys:
            page = self._insist(next_page)
            if not page:
                return
            last = page[-1]["path"]
            yield page

    def folder(self, path: str) -> Names:
        """Return the names of the folders and of the keys directly below a folder."""
        self.link.check_lists()

        def list_folder() -> Found | None:
            return self.ask("listing", path, lambda: self.client.list_with_delimiter(path or None), kind="lists")

        found = self._insist(list_folder)
        if found is None:
            return [], []
        names = _names(found)
        self.counts.add("lists", max(0, sum(map(len, names)) - 1) // PAGE_KEYS)
        return names

    def _insist(self, request: Callable[[], T]) -> T:
        """Return what a request brings, made again where no whole answer came and the client does not do so itself."""
        for _ in range(REPEATS):
            try:
                return request()
            except StoreUnavailableError as error:
                if not broke_off(error.__cause__):
                    raise
        return request()

    def ask(
        self,
        doing: str,
        path: str,
        request: Callable[[], T],
        *,
        kind: str,
        count: int = 1,
        nbytes: Callable[[T], int] | None = None,
    ) -> T | None:
        """Return what a request brings, None where the path is missing; ``nbytes`` says how much of a value that is."""
        try:
            found = request()
        except FileNotFoundError as error:
            self.counts.add(kind, count)
            if names_bucket(error):
                raise explain(error, doing, self.where(path)) from error
            return None
        except Exception as error:
            self.counts.add(kind, count)
            if is_beyond_end(error):
                raise BeyondEndError from error
            if ignores_ranges(error):
                raise WholeOnlyError from error
            raise explain(error, doing, self.where(path)) from error
        self.counts.add(kind, count, read=nbytes(found) if nbytes is not None else 0)
        return found

    def _remove(self, paths: list[str]) -> bool:
        self.client.delete(paths)
        return True


def _names(found: Found) -> Names:
    folders = [path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"]]
    return folders, [entry["path"].rpartition("/")[2] for entry in found["objects"]]
