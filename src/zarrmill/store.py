"""The one place that opens stores: from a path, a URL or something of zarr's to a store whose root is the node."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import zarr
from zarr.abc.store import Store
from zarr.core.sync import sync
from zarr.storage import LocalStore, ObjectStore, StorePath

from zarrmill.draft import Draft
from zarrmill.errors import InvalidInputError, NotFoundError, SourceFormatError
from zarrmill.icechunk_repository import is_icechunk, open_snapshot
from zarrmill.key_store import KeyStore
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.clients import open_link, wrap_client
from zarrmill.keyspace.local import LocalKeys
from zarrmill.keyspace.model import Requests
from zarrmill.keyspace.object_store import ObjectKeys
from zarrmill.keyspace.reach import check_reachable
from zarrmill.keyspace.urls import parse_url, scheme_of
from zarrmill.keyspace.zarr_keys import ZarrKeys
from zarrmill.prefix_store import PrefixStore

UNFINISHED = "a run that makes it is at work, or was stopped (zarrmill info shows how far it is)."
"""What is told of a location that has a draft alone."""
_ROOT_FILES = ("zarr.json", ".zarray", ".zgroup")
"""Keys of which a node has one, for where keys cannot be listed."""


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """A store whose root is one node, and where that is. It pickles: another process opens its own connection."""

    location: str
    """What people are shown: an absolute path, or a URL."""
    store: Store
    """The store in which the key of the node's own metadata is ``zarr.json``."""
    local: Path | None
    """The node's directory on the local disk; None where it has none."""
    keys: KeySpace = field(compare=False)
    """The same keys, for plain calls from any thread."""

    @property
    def copies(self) -> int:
        """Copies of a value on its way that are in memory at once; 0 where files are read and written in place."""
        return self.keys.copies if self.local is None else 0

    @property
    def for_arrays(self) -> Store:
        """The store through which zarr-python reads and writes chunks: where requests are made, by way of the keys."""
        if isinstance(self.keys, ObjectKeys):
            return KeyStore(self.keys, read_only=self.store.read_only)
        return self.store

    def __reduce__(self) -> Any:
        if isinstance(self.keys, ObjectKeys) and self.keys.link.again is not None:
            return _reopen, (self.keys, self.store.read_only)
        return OpenedStore, (self.location, self.store, self.local, self.keys)


Location = str | os.PathLike[str] | Store | StorePath | zarr.Array[Any] | zarr.Group | OpenedStore
"""Whatever says where a node is; a Repository and a Session of icechunk do so too."""


def open_store(
    location: Location, *, read_only: bool = True, storage_options: Mapping[str, Any] | None = None
) -> OpenedStore:
    """Return the store at a path or URL, or behind a zarr Store, StorePath, Array or Group.

    URLs are ``s3://bucket/path``, ``gs://``, ``az://`` (``abfs://``), ``https://`` and ``http://`` (for reading only),
    ``file://`` and ``memory://name``, which is the same store wherever this process opens it. ``storage_options`` are
    those of obstore (endpoint, region, access_key_id, timeout, …), of which none is needed where the environment or the
    AWS profile says it; paths and zarr's objects take no notice of them. Of icechunk a Repository (its main branch), a
    Session and the text of a location are opened, ``icechunk://PATH?tag=v1`` (see ``zarrmill.icechunk_repository``).

    What is there need not be Zarr yet; ``read_hierarchy`` finds out. Raises NotFoundError where there is nothing,
    SourceFormatError for a file in place of a directory, InvalidInputError for unknown URLs and options and for writing
    to what can only be read, StoreAccessError and StoreUnavailableError where a service refuses or does not answer.

    >>> open_store("/data/no-such.zarr")
    Traceback (most recent call last):
    zarrmill.errors.NotFoundError: there is nothing at /data/no-such.zarr
    """
    if isinstance(location, OpenedStore):
        return _open_again(location, read_only=read_only)
    if isinstance(location, zarr.Array | zarr.Group):
        location = location.store_path
    if is_icechunk(location):
        snapshot = open_snapshot(location, storage_options)
        return _open_within(snapshot.store, snapshot.path, read_only=read_only, location=snapshot.location)
    if isinstance(location, StorePath):
        return _open_within(location.store, location.path, read_only=read_only)
    if isinstance(location, Store):
        return _open_within(location, "", read_only=read_only)
    text = os.fspath(location)
    if is_local(text):
        return _open_directory(local_path(text), read_only=read_only)
    keys = _url_keys(text, storage_options)
    if keys.read_only and not read_only:
        raise InvalidInputError(f"{text} can only be read. Give another target.")
    check_answered(keys, storage_options)
    check_something_there(keys)
    return _opened(keys, read_only=read_only)


def below(opened: OpenedStore, path: str) -> OpenedStore:
    """Return the part of a store below a path, where there need be nothing yet."""
    local = None if opened.local is None else opened.local / path
    return OpenedStore(
        f"{opened.location.rstrip('/')}/{path}", _below(opened.store, path), local, opened.keys.below(path)
    )


def counted_with(keys: KeySpace, others: KeySpace) -> KeySpace:
    """Return keys whose requests count as those of other keys of the same bucket."""
    return ObjectKeys(keys.link, prefix=keys.prefix, counts=others.counts) if isinstance(keys, ObjectKeys) else keys


def asked_before(location: Any) -> Requests:
    """Return the requests that were made through a location already: none but for a store that is open."""
    return location.keys.counts.snapshot() if isinstance(location, OpenedStore) else Requests()


def options_for(end: str, options: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the options of one end of a run ("source" or "target"), where those of both are given apart.

    >>> options_for("source", {"source": {"region": "x"}, "timeout": "9s"}), options_for("target", {"timeout": "9s"})
    ({'timeout': '9s', 'region': 'x'}, {'timeout': '9s'})
    """
    if options is None:
        return None
    for name in ("source", "target"):
        if not isinstance(options.get(name, {}), Mapping):
            raise InvalidInputError(f"storage option {name}={options[name]!r} is no mapping of options for that end.")
    shared = {key: value for key, value in options.items() if key not in ("source", "target")}
    return {**shared, **options.get(end, {})}


def open_new(location: Location, *, storage_options: Mapping[str, Any] | None = None) -> OpenedStore:
    """Return a store to write to, where there may be nothing yet: at a URL, or behind something of zarr's."""
    if isinstance(location, OpenedStore | zarr.Array | zarr.Group | StorePath | Store):
        return open_store(location, read_only=False)
    keys = _url_keys(os.fspath(location), storage_options)
    if keys.read_only:
        raise InvalidInputError(f"{keys.location} can only be read. Give another target.")
    check_answered(keys, storage_options)
    return _opened(keys, read_only=False)


def open_keys(location: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None) -> KeySpace:
    """Return the keys at a path or URL where there may be nothing yet, for a target. Nothing is asked or made."""
    text = os.fspath(location)
    return LocalKeys(local_path(text)) if is_local(text) else _url_keys(text, storage_options)


def is_local(text: str) -> bool:
    """Tell whether a path or URL is on the local disk.

    >>> is_local("a.zarr"), is_local("file:///data/a.zarr"), is_local("s3://bucket/a.zarr")
    (True, True, False)
    """
    return scheme_of(text) in (None, "file") and "::" not in text


def local_path(text: str) -> Path:
    """Return the absolute path that a path or file:// URL means; raises InvalidInputError for other URLs."""
    if not is_local(text):
        raise InvalidInputError(f"{text} is not on the local disk. Give a path or a file:// URL.")
    if scheme_of(text) is None:
        return Path(os.path.abspath(text))
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise InvalidInputError(f"{text}: a file:// URL of another host. Write file:///absolute/path.")
    return Path(os.path.abspath(unquote(parts.path)))


def check_answered(keys: KeySpace, storage_options: Mapping[str, Any] | None) -> None:
    """Raise StoreUnavailableError where nobody listens at an endpoint that is not the service's own."""
    if isinstance(keys, ObjectKeys) and keys.link.endpoint and "proxy_url" not in (storage_options or {}):
        check_reachable(keys.link.endpoint, keys.location)


def check_something_there(keys: KeySpace) -> None:
    """Raise NotFoundError where there is no key, or where nothing can be listed none of those that a node has."""
    found = next(keys.list(), None) if keys.can_list else any(keys.head(name) for name in _ROOT_FILES)
    if not found:
        raise NotFoundError(f"there is nothing at {keys.location}")


def _url_keys(text: str, storage_options: Mapping[str, Any] | None) -> ObjectKeys:
    url = parse_url(text)
    return ObjectKeys(open_link(url, storage_options), prefix=url.path)


def _opened(keys: ObjectKeys, *, read_only: bool) -> OpenedStore:
    store = ObjectStore(keys.link.client, read_only=read_only)
    return OpenedStore(keys.location, _below(store, keys.prefix), None, keys)


def _reopen(keys: ObjectKeys, read_only: bool) -> OpenedStore:
    return _opened(keys, read_only=read_only)


def _open_again(opened: OpenedStore, *, read_only: bool) -> OpenedStore:
    if opened.local is not None:
        return _open_directory(opened.local, read_only=read_only)
    if opened.keys.read_only and not read_only:
        raise InvalidInputError(f"{opened.location} can only be read. Give another target.")
    store = _with_mode(opened.store, opened.location, read_only=read_only)
    return OpenedStore(opened.location, store, None, opened.keys)


def _open_directory(path: Path, *, read_only: bool) -> OpenedStore:
    if not path.exists():
        yet = f" yet: {UNFINISHED}" if Draft(path).folder.is_dir() else ""
        raise NotFoundError(f"there is nothing at {path}{yet}")
    if not path.is_dir():
        raise SourceFormatError(f"{path} is a file and not a Zarr directory. Open archives with zarr.storage.ZipStore.")
    return OpenedStore(str(path), LocalStore(path, read_only=read_only), path, LocalKeys(path))


def new_directory(path: Path) -> OpenedStore:
    """Return the store of a folder that may not be there yet, for writing."""
    return OpenedStore(str(path), LocalStore(path), path, LocalKeys(path))


def _open_within(store: Store, path: str, *, read_only: bool, location: str = "") -> OpenedStore:
    """Return the node at a path of a zarr store, shown as ``location`` or as the store shows itself."""
    if store.read_only and not read_only:
        raise InvalidInputError(
            f"{location or store} is open for reading only. Open it for writing, or give another target."
        )
    # A subclass may read otherwise than from the plain files, so only the class itself counts as a local directory.
    if type(store) is LocalStore:
        return _open_directory(Path(os.path.abspath(store.root / path)), read_only=read_only)
    if type(store) is ObjectStore:
        return _open_client(store, path, read_only=read_only)
    location = location or (f"{store}/{path}" if path else str(store))
    # Archives cannot be read before they are opened, and every other store opens itself.
    opened = sync(StorePath.open(_with_mode(store, location, read_only=read_only), "")).store
    return OpenedStore(location, _below(opened, path), None, ZarrKeys(opened, prefix=path, location=location))


def _open_client(store: ObjectStore[Any], path: str, *, read_only: bool) -> OpenedStore:
    """Return the node at a path of a client of obstore's."""
    link = wrap_client(store.store, read_only=store.read_only)
    if isinstance(link, Path):
        return _open_directory(link / path, read_only=read_only)
    keys = ObjectKeys(link, prefix=path.strip("/"))
    moded = _with_mode(store, keys.location, read_only=read_only)
    return OpenedStore(keys.location, _below(moded, keys.prefix), None, keys)


def _below(store: Store, path: str) -> Store:
    return PrefixStore(store, prefix=path) if path else store


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
