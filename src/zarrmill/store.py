"""The one place that opens stores: from a path, a URL or something of zarr's to a store whose root is the node."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import zarr
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, StorePath

from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """A store whose root is one node, and where that is."""

    location: str
    """What people are shown: an absolute path, or a URL."""
    store: Store
    """The store in which the key of the node's own metadata is ``zarr.json``."""
    local: Path | None
    """The node's directory on the local disk; None where it has none."""


Location = str | os.PathLike[str] | Store | StorePath | zarr.Array[Any] | zarr.Group | OpenedStore
"""Whatever says where a node is."""


def open_store(location: Location, *, read_only: bool = True) -> OpenedStore:
    """Return the store at a path, a ``file://`` URL, or behind a zarr Store, StorePath, Array or Group.

    What is there need not be Zarr yet; ``read_hierarchy`` finds out. Raises NotFoundError where there is nothing,
    SourceFormatError for a file in place of a directory, and InvalidInputError for other URLs and for writing to a
    store that is open for reading only.

    >>> open_store("/data/no-such.zarr")
    Traceback (most recent call last):
    zarrmill.errors.NotFoundError: there is nothing at /data/no-such.zarr
    """
    if isinstance(location, OpenedStore):
        if location.local is not None:
            return _open_directory(location.local, read_only=read_only)
        return OpenedStore(location.location, _with_mode(location.store, location.location, read_only=read_only), None)
    if isinstance(location, zarr.Array | zarr.Group):
        location = location.store_path
    if isinstance(location, StorePath):
        return _open_within(location.store, location.path, read_only=read_only)
    if isinstance(location, Store):
        return _open_within(location, "", read_only=read_only)
    return _open_directory(local_path(os.fspath(location)), read_only=read_only)


def local_path(text: str) -> Path:
    """Return the absolute path that a path or URL means."""
    url = _URL.match(text)
    if url is None and "::" not in text:
        return Path(os.path.abspath(text))
    parts = urlsplit(text)
    if url is None or url[1].lower() != "file":
        raise InvalidInputError(
            f"{text}: object stores and other URLs come with a later version. Give a local path or a file:// URL."
        )
    if parts.netloc not in ("", "localhost"):
        raise InvalidInputError(f"{text}: a file:// URL of another host. Write file:///absolute/path.")
    return Path(os.path.abspath(unquote(parts.path)))


def _open_directory(path: Path, *, read_only: bool) -> OpenedStore:
    if not path.exists():
        raise NotFoundError(f"there is nothing at {path}")
    if not path.is_dir():
        raise SourceFormatError(f"{path} is a file and not a Zarr directory. Open archives with zarr.storage.ZipStore.")
    return OpenedStore(str(path), LocalStore(path, read_only=read_only), path)


def new_directory(path: Path) -> OpenedStore:
    """Return the store of a folder that may not be there yet, for writing."""
    return OpenedStore(str(path), LocalStore(path), path)


def _open_within(store: Store, path: str, *, read_only: bool) -> OpenedStore:
    """Return the node at a path of a zarr store."""
    if store.read_only and not read_only:
        raise InvalidInputError(f"{store} is open for reading only. Open it for writing, or give another target.")
    # A subclass may read otherwise than from the plain files, so only the class itself counts as a local directory.
    if type(store) is LocalStore:
        return _open_directory(Path(os.path.abspath(store.root / path)), read_only=read_only)
    location = f"{store}/{path}" if path else str(store)
    # Archives cannot be read before they are opened, and every other store opens itself.
    opened = sync(StorePath.open(_with_mode(store, location, read_only=read_only), "")).store
    return OpenedStore(location, PrefixStore(opened, prefix=path) if path else opened, None)


def _with_mode(store: Store, location: str, *, read_only: bool) -> Store:
    """Return the store in the mode asked for; one that has no other mode stays as it is when it allows more."""
    if store.read_only == read_only:
        return store
    try:
        return store.with_read_only(read_only)
    except NotImplementedError as error:
        if read_only:
            return store
        raise InvalidInputError(f"{location} cannot be opened for writing. Give another target.") from error


class PrefixStore(Store):
    """The part of a zarr store below a path, as a store of its own."""

    def __init__(self, store: Store, *, prefix: str) -> None:
        super().__init__(read_only=store.read_only)
        self._store = store
        self._prefix = prefix.strip("/") + "/"

    def with_read_only(self, read_only: bool = False) -> PrefixStore:
        """Return the same part of the store in another mode."""
        return PrefixStore(self._store.with_read_only(read_only), prefix=self._prefix)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PrefixStore) and (self._store, self._prefix) == (other._store, other._prefix)

    def __hash__(self) -> int:
        return hash((type(self._store), self._prefix))

    def __str__(self) -> str:
        return f"{self._store}/{self._prefix.rstrip('/')}"

    @property
    def supports_writes(self) -> bool:
        """Whether keys can be written."""
        return self._store.supports_writes

    @property
    def supports_deletes(self) -> bool:
        """Whether keys can be deleted."""
        return self._store.supports_deletes

    @property
    def supports_listing(self) -> bool:
        """Whether keys can be listed."""
        return self._store.supports_listing

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return the bytes of a key, None where it is missing."""
        return await self._store.get(self._prefix + key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of several keys."""
        return await self._store.get_partial_values(prototype, [(self._prefix + k, r) for k, r in key_ranges])

    async def exists(self, key: str) -> bool:
        """Tell whether a key is there."""
        return await self._store.exists(self._prefix + key)

    async def set(self, key: str, value: Buffer) -> None:
        """Write a key."""
        await self._store.set(self._prefix + key, value)

    async def delete(self, key: str) -> None:
        """Remove a key."""
        await self._store.delete(self._prefix + key)

    async def list(self) -> AsyncIterator[str]:
        """Yield every key."""
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield every key that begins with a prefix."""
        async for key in self._store.list_prefix(self._prefix + prefix):
            yield key.removeprefix(self._prefix)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names directly below a prefix."""
        async for name in self._store.list_dir((self._prefix + prefix).rstrip("/")):
            yield name
