"""Icechunk repositories as sources and targets: the one place that knows ``icechunk``.

A location is ``icechunk://`` before a path or an ``s3://`` URL, then what is meant of the repository:
``icechunk:///data/survey?tag=v1``, ``icechunk://s3://bucket/survey?branch=main&path=by_object``. The parts after ``?``
are ``branch`` (the default is main), ``tag`` or ``snapshot``, and ``path`` of a node within.
"""

from __future__ import annotations

import hashlib
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from zarr.abc.store import Store
from zarr.storage import StorePath

from zarrmill.errors import InvalidInputError, NotFoundError, PublishError
from zarrmill.keyspace.credentials import complete_s3
from zarrmill.keyspace.options import is_true, sort_options
from zarrmill.repository_store import RepositoryStore

SCHEME = "icechunk://"
OLDEST, TOO_NEW = 1, 3
"""Major versions of icechunk from which it works, and from which nobody has tried."""
MAIN = "main"
"""Branch that every repository has."""
MOST_CONFLICTS = 3
"""Nodes in conflict that a message lists."""
_REFERENCES = ("branch", "tag", "snapshot")
_KEYS = {
    "access_key_id": "access_key_id",
    "secret_access_key": "secret_access_key",
    "session_token": "session_token",
    "token": "session_token",
}
"""Storage options that are credentials, and what icechunk calls them."""
_TAKEN = {
    *_KEYS,
    "region",
    "default_region",
    "endpoint",
    "endpoint_url",
    "skip_signature",
    "virtual_hosted_style_request",
}
"""Options of S3 that icechunk takes; those of the HTTP client, which it has not, change no result."""


@dataclass(frozen=True, slots=True)
class Place:
    """What the text of a location says."""

    where: str
    """Path or URL of the repository; "" for one that came as an object, which does not tell its place."""
    kind: str
    """"branch", "tag" or "snapshot"."""
    reference: str
    """Name of the branch or tag, id of the snapshot."""
    path: str
    """Path of a node in it; "" for the root."""

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return what a text says.

        >>> Place.parse("icechunk:///data/survey?tag=v1&path=a/b")
        Place(where='/data/survey', kind='tag', reference='v1', path='a/b')
        """
        where, _, query = text.removeprefix(SCHEME).partition("?")
        said = dict(parse_qsl(query, keep_blank_values=True))
        unknown = sorted(set(said) - {*_REFERENCES, "path"})
        references = [name for name in _REFERENCES if name in said]
        if unknown or len(references) > 1 or not where or not all(said.values()):
            raise InvalidInputError(
                f"{text} is no icechunk location. Write {SCHEME}LOCATION?branch=NAME, with tag=NAME or snapshot=ID "
                f"in place of the branch, and &path=PATH for a node within."
            )
        kind = references[0] if references else "branch"
        return cls(where, kind, said.get(kind, MAIN), said.get("path", "").strip("/"))

    @property
    def folder(self) -> Path | None:
        """Folder of the repository on the local disk, where it is known to lie there."""
        return _local_folder(self.where)

    def shown(self) -> str:
        """Return the location as text."""
        path = f"&path={self.path}" if self.path else ""
        return f"{SCHEME}{self.where}?{self.kind}={self.reference}{path}"

    def draft_path(self, elsewhere: Path) -> Path:
        """Return the path of which a run that writes here has a draft: beside the repository, or in another folder.

        A repository that came as an object does not tell its place, so that no two of them may share a name.
        """
        folder = self.folder
        place = replace(self, where=str(folder or self.where)).shown() if self.where else uuid.uuid4().hex
        within = elsewhere if folder is None else folder.parent
        return within / f"icechunk-{hashlib.blake2b(place.encode(), digest_size=6).hexdigest()}"


def is_icechunk(location: Any) -> bool:
    """Tell whether a location is of icechunk: the text of one, a Repository, a Session, or (a path in) its store."""
    if isinstance(location, str):
        return location.startswith(SCHEME)
    location, _ = _within(location)
    icechunk = sys.modules.get("icechunk")
    if icechunk is None:
        return False
    return isinstance(location, icechunk.Repository | icechunk.Session | icechunk.IcechunkStore)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is read of a repository; nobody changes it meanwhile."""

    store: Store
    """The whole of it."""
    path: str
    """Path of the node that is meant."""
    location: str
    """What people are shown: with the snapshot, which the branch may have left by the next run."""


def open_snapshot(location: Any, options: Mapping[str, Any] | None = None) -> Snapshot:
    """Return what a location says is to be read. Raises InvalidInputError, NotFoundError."""
    _load()
    location, path = _within(location)
    place = Place("", "branch", MAIN, path)
    if isinstance(location, str):
        place = Place.parse(location)
        location = _open_repository(place, options or {}, create=False)
    session = getattr(location, "session", location)
    if hasattr(location, "readonly_session"):
        session = _readonly_session(location, place)
    place = replace(place, kind="snapshot", reference=session.snapshot_id)
    store = location if isinstance(location, Store) else session.store
    return Snapshot(RepositoryStore(store), place.path, place.shown())


def _within(location: Any) -> tuple[Any, str]:
    """Return a location and the path of a node in it."""
    return (location.store, location.path) if isinstance(location, StorePath) else (location, "")


class Transaction:
    """A writable session: everything that is written is there for itself alone until ``commit``."""

    def __init__(self, session: Any, place: Place) -> None:
        self._session = session
        self._place = place

    @property
    def store(self) -> Store:
        """The whole repository as it will be."""
        return RepositoryStore(self._session.store)

    def commit(self, message: str) -> str:
        """Make all of it visible at once and return the id of the snapshot.

        What others committed meanwhile stays, unless it is about the same nodes: then PublishError.
        """
        icechunk = _load()

        try:
            snapshot: str = self._session.commit(message, rebase_with=icechunk.ConflictDetector())
        except (icechunk.ConflictError, icechunk.RebaseFailedError) as error:
            paths = [conflict.path for conflict in getattr(error, "conflicts", ())]
            where = ", ".join(paths[:MOST_CONFLICTS]) or _one_line(error)
            raise PublishError(
                f"{self._place.shown()}: another commit has changed what this one writes ({where}). Nothing of this "
                f"run is visible. Look at the branch, then run again, or write to another path."
            ) from error
        except icechunk.IcechunkError as error:
            where = self._place.shown()
            raise PublishError(f"{where} could not be committed: {_one_line(error)}. Run again.") from error
        return snapshot

    def discard(self) -> None:
        """Forget what was written; its chunks are unreachable, and icechunk's garbage collection removes them."""
        if not self._session.read_only:
            self._session.discard_changes()


def place_to_write(location: Any) -> Place:
    """Return what a location says is to be written; nothing is opened or made.

    Raises InvalidInputError for tags, snapshots and sessions that cannot be written or have changes already.
    """
    _load()
    if isinstance(location, str):
        place = Place.parse(location)
        if place.kind != "branch":
            raise InvalidInputError(f"{location} cannot be written: a {place.kind} never changes. Name a branch.")
        return place
    location, path = _within(location)
    place = Place("", "branch", MAIN, path)
    if hasattr(location, "writable_session"):
        return place
    session = getattr(location, "session", location)
    if session.read_only:
        raise InvalidInputError("the session is read-only. Give repository.writable_session(branch).")
    if session.has_uncommitted_changes:
        raise InvalidInputError("the session has changes of its own. Commit or discard them first.")
    return replace(place, reference=session.branch)


def open_transaction(location: Any, options: Mapping[str, Any] | None = None) -> Transaction:
    """Return a transaction on what a location says, making a repository where a text names none that is there.

    Raises InvalidInputError like ``place_to_write``. A repository that came as an object has options of its own.
    """
    place = place_to_write(location)
    location, _ = _within(location)
    if isinstance(location, str):
        location = _open_repository(place, options or {}, create=True)
    if hasattr(location, "writable_session"):
        location = _writable_session(location, place)
    return Transaction(getattr(location, "session", location), place)


def _load() -> Any:
    """Return the module ``icechunk``; raises InvalidInputError where it is not installed, or another version is."""
    try:
        import icechunk
    except ImportError as error:
        raise InvalidInputError("icechunk is not installed. Install it: pip install 'zarrmill[icechunk]'.") from error
    version = icechunk.__version__
    if not OLDEST <= int(version.partition(".")[0]) < TOO_NEW:
        raise InvalidInputError(
            f"icechunk {version} is not supported: versions from {OLDEST}.0 up to, not including, {TOO_NEW}.0 are. "
            f"Install one of those: pip install 'zarrmill[icechunk]'."
        )
    return icechunk


def _open_repository(place: Place, options: Mapping[str, Any], *, create: bool) -> Any:
    icechunk = _load()
    folder = _local_folder(place.where)
    # Looking for a repository makes its folder.
    if folder is not None and not create and not folder.is_dir():
        raise NotFoundError(f"there is nothing at {folder}")
    storage = _local_storage(icechunk, folder) if folder is not None else _s3_storage(icechunk, place, options)
    with _explained(place):
        if create:
            return icechunk.Repository.open_or_create(storage)
        return icechunk.Repository.open(storage)


def _local_folder(where: str) -> Path | None:
    """Return the folder that a path or ``file://`` URL means, None for other URLs."""
    if where.startswith("file://"):
        return Path(unquote(urlsplit(where).path))
    return None if "://" in where or not where else Path(os.path.abspath(where))


def _local_storage(icechunk: Any, folder: Path) -> Any:
    # It would warn on standard error of commits at the same time, which a rechunk makes one of.
    if "ICECHUNK_LOG" not in os.environ:
        icechunk.set_logs_filter("error")
    return icechunk.local_filesystem_storage(str(folder))


def _s3_storage(icechunk: Any, place: Place, options: Mapping[str, Any]) -> Any:
    parts = urlsplit(place.where)
    if parts.scheme != "s3":
        raise InvalidInputError(
            f"{place.shown()}: of object stores this opens s3://. Open others with icechunk, and give the Repository."
        )
    settings = _s3_settings(options, os.environ)
    return icechunk.s3_storage(bucket=parts.netloc, prefix=parts.path.strip("/") or None, **settings)


def _s3_settings(options: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what icechunk is to be told of S3; credentials that nobody gave it finds by itself, as AWS's tools do."""
    sorted_options = sort_options("s3", options)
    other = sorted(set(sorted_options.config) - _TAKEN) + ["profile"] * (sorted_options.profile is not None)
    if other:
        raise InvalidInputError(
            f"icechunk takes no storage option {other[0]}. Open the repository with icechunk, and give the Repository."
        )
    completed = complete_s3(sorted_options, environment)
    config, endpoint = completed.config, completed.config.get("endpoint")
    found: dict[str, Any] = {name: config[option] for option, name in _KEYS.items() if option in config}
    regions = (config.get("region"), config.get("default_region"))
    variables = (environment.get("AWS_REGION"), environment.get("AWS_DEFAULT_REGION"))
    region = next(filter(None, (*regions, *variables)), None)
    if region:
        found["region"] = region
    if is_true(config.get("skip_signature", environment.get("AWS_SKIP_SIGNATURE", ""))):
        found = {"anonymous": True, **{name: value for name, value in found.items() if name == "region"}}
    elif "access_key_id" not in found:
        found["from_env"] = True
    if endpoint:
        in_path = not is_true(config.get("virtual_hosted_style_request", ""))
        allow_http = is_true(completed.client.get("allow_http", ""))
        found |= {"endpoint_url": endpoint, "force_path_style": in_path, "allow_http": allow_http}
    return found


def _readonly_session(repository: Any, place: Place) -> Any:
    name = "snapshot_id" if place.kind == "snapshot" else place.kind
    with _explained(place):
        return repository.readonly_session(**{name: place.reference})


def _writable_session(repository: Any, place: Place) -> Any:
    with _explained(place):
        return repository.writable_session(place.reference)


@contextmanager
def _explained(place: Place) -> Iterator[None]:
    """Have what icechunk raises within told as one line."""
    icechunk = _load()

    try:
        yield
    except (icechunk.IcechunkError, ValueError) as error:
        raise NotFoundError(f"{place.shown()} cannot be opened: {_one_line(error)}.") from error


def _one_line(error: Exception) -> str:
    """Return what is wrong, without the stack of icechunk's own functions that its messages show."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = next((line.removeprefix("x ").removeprefix("× ") for line in lines), type(error).__name__)
    return first.removesuffix(".")
