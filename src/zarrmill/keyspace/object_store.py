"""Keys of an object store, through a client of obstore's."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from zarrmill.errors import NotFoundError, ZarrmillError
from zarrmill.keyspace.etags import Reading
from zarrmill.keyspace.faults import is_unsure
from zarrmill.keyspace.link import Link
from zarrmill.keyspace.model import Buffer, KeyInfo, Names, RequestCounts, flat, join
from zarrmill.keyspace.ranges import coalesce
from zarrmill.keyspace.reader import Reader
from zarrmill.keyspace.wire import PAGE_KEYS, Wire

CREATE_ATTEMPTS = 5
"""Times that a conditional write is tried whose outcome nobody knows."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ObjectKeys:
    """Keys of an object store below a folder of it."""

    def __init__(
        self, link: Link, *, prefix: str = "", counts: RequestCounts | None = None, checked: bool = True
    ) -> None:
        self.link = link
        self.prefix = prefix
        self._checked = checked
        self.counts = counts or RequestCounts()
        self._wire = Wire(link, self.counts)
        self._reader = Reader(self._wire)
        self.location = join(link.location, prefix)
        self.read_only, self.can_list, self.copies = link.writer is None, link.can_list, 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectKeys) and (self.link, self.prefix) == (other.link, other.prefix)

    def __hash__(self) -> int:
        return hash((self.link.location, self.prefix))

    def __repr__(self) -> str:
        return f"ObjectKeys({self.location!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.link, self.prefix, self._checked)

    def get(self, key: str) -> Buffer | None:
        """Return the value of a key, None where it is missing."""
        path, etags = join(self.prefix, key), self.link.etags
        reading = self._reader.read(path, with_etag=self._checked and etags.active)
        if reading is None:
            return None
        if etags.passes(reading):
            return reading[0]
        return etags.settle(reading, partial(self._reader.read, path, with_etag=True), self._wire.where(path))

    def get_range(self, key: str, start: int, nbytes: int) -> Buffer | None:
        """Return a part of a value, shorter where the value ends, None where the key is missing."""
        if not nbytes:
            return None if self.head(key) is None else b""
        return self._reader.read_part(join(self.prefix, key), start, nbytes)

    def get_suffix(self, key: str, nbytes: int) -> Buffer | None:
        """Return the last bytes of a value, all of a shorter one, None where the key is missing."""
        if nbytes and self.link.has_suffix_reads:
            reading = self._reader.read(join(self.prefix, key), suffix=nbytes)
            return reading and reading[0]
        found = self.head(key)
        if found is None:
            return None
        nbytes = min(nbytes, found.nbytes or 0)
        return self.get_range(key, (found.nbytes or 0) - nbytes, nbytes) if nbytes else b""

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[Buffer]:
        """Return several parts of a value, neighbours by one request; raises NotFoundError without the key."""
        wanted = [(start, nbytes) for start, nbytes in ranges if nbytes]
        spans, places = coalesce(wanted)
        path = join(self.prefix, key)
        parts = self._reader.read_spans(path, spans)
        if parts is None:
            raise NotFoundError(f"{self._wire.where(path)} is missing")
        found: list[Buffer] = [b""] * len(ranges)
        for number, (start, nbytes), place in zip(_filled(ranges), wanted, places, strict=True):
            offset = start - spans[place][0]
            found[number] = memoryview(parts[place])[offset : offset + nbytes]
        return found

    def get_tagged(self, key: str, ranges: Sequence[tuple[int, int]]) -> tuple[list[Buffer], str | None] | None:
        """Return parts of one version of a value with its ETag, None where the key is missing."""
        path = join(self.prefix, key)
        if ranges and ranges[0][0] < 0:
            return self._tagged_end(key, ranges[0][1])
        spans, places = coalesce(ranges)
        found: list[Reading] = []
        for span in spans:
            reading = self._reader.read(path, span=span, with_etag=True)
            if reading is None:
                return None
            found.append(reading)
        tags = {tag for _, tag in found}
        parts: list[Buffer] = []
        for (start, nbytes), place in zip(ranges, places, strict=True):
            offset = start - spans[place][0]
            parts.append(memoryview(found[place][0])[offset : offset + nbytes])
        return parts, tags.pop() if len(tags) == 1 else ""

    def _tagged_end(self, key: str, nbytes: int) -> tuple[list[Buffer], str | None] | None:
        path = join(self.prefix, key)
        if self.link.has_suffix_reads:
            reading = self._reader.read(path, suffix=nbytes, with_etag=True)
        else:
            info = self.head(key)
            length = 0 if info is None else info.nbytes or 0
            span = (max(0, length - nbytes), length)
            reading = self._reader.read(path, span=span, with_etag=True) if length else None
        return None if reading is None else ([reading[0]], reading[1])

    def head(self, key: str) -> KeyInfo | None:
        """Return what the store tells of a key, None where it is missing."""
        found = self._wire.head(join(self.prefix, key))
        return None if found is None else _info(found, key)

    def put(self, key: str, data: Buffer) -> str | None:
        """Write a value with one request."""
        return self._wire.write(join(self.prefix, key), data, mode="overwrite")

    def create(self, key: str, data: Buffer) -> bool:
        """Write a value unless the key is there; return whether the value there is this one."""
        for attempt in itertools.count(1):
            try:
                self._wire.write(join(self.prefix, key), data, mode="create")
                return True
            except ZarrmillError as error:
                # The answer to our own write may have been lost, by us, or by the client that then asked again.
                if not is_unsure(error.__cause__):
                    raise
                try:
                    there = self.get(key)
                except ZarrmillError:
                    raise error from error.__cause__
                if there is not None:
                    return memoryview(there) == flat(data)
                if attempt == CREATE_ATTEMPTS:
                    raise
        raise AssertionError("counts without end")

    def list(self, prefix: str = "") -> Iterator[KeyInfo]:
        """Yield every key below a folder."""
        skip = len(self.prefix) + 1 if self.prefix else 0
        for page in self._wire.pages(join(self.prefix, prefix)):
            yield from (_info(found, found["path"][skip:]) for found in page)

    def list_dir(self, prefix: str = "") -> Names:
        """Return the names of the folders and of the keys directly below a folder."""
        return self._wire.folder(join(self.prefix, prefix))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys, up to PAGE_KEYS with one request where the store can."""
        paths = (join(self.prefix, key) for key in keys)
        while page := list(itertools.islice(paths, PAGE_KEYS)):
            self._wire.remove(page)

    def below(self, prefix: str) -> ObjectKeys:
        """Return the same store with a deeper root."""
        return ObjectKeys(self.link, prefix=join(self.prefix, prefix), counts=self.counts, checked=self._checked)

    def unchecked(self) -> ObjectKeys:
        """Return the same keys without the comparison of values with their ETags."""
        return ObjectKeys(self.link, prefix=self.prefix, counts=self.counts, checked=False)


def put_file(keys: ObjectKeys, key: str, file: Path) -> None:
    """Write a value from a file, however large: nobody ever sees a part of it."""
    Wire(keys.link, keys.counts).write_file(join(keys.prefix, key), file)


def _filled(ranges: Sequence[tuple[int, int]]) -> Iterator[int]:
    return (number for number, (_, nbytes) in enumerate(ranges) if nbytes)


def _info(found: dict[str, Any], key: str) -> KeyInfo:
    microseconds = (found["last_modified"] - _EPOCH) // timedelta(microseconds=1)
    return KeyInfo(key, found["size"], found["e_tag"], microseconds * 1000)


def _reopen(link: Link, prefix: str, checked: bool) -> ObjectKeys:
    return ObjectKeys(link, prefix=prefix, checked=checked)
