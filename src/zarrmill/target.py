"""Where a run writes: a draft on the local disk that is renamed, or one in a store whose root metadata comes last."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from zarrmill.draft import Claim, Draft, remove_tree
from zarrmill.errors import AlreadyExistsError, InvalidInputError, NotFoundError, PublishError, ZarrmillError
from zarrmill.execute.futures import collect
from zarrmill.execute.intermediates import DiskIntermediates, Intermediates, StoreIntermediates, existing
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.journal import Journal
from zarrmill.key_journal import KeyJournal
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.plan.model import BlockResult
from zarrmill.publish import METADATA, list_member, listing, publish
from zarrmill.store import OpenedStore, counted_with, is_local, local_path, open_keys, open_new, open_store
from zarrmill.store_draft import (
    JOURNAL,
    SCRATCH,
    STORE_SCRATCH,
    StoreDraft,
    document_of,
    listed_keys,
    listed_sizes,
    scratch_name,
    share_scratch,
)

Records = Mapping[str, bytes]
"""Records of what arrays were made from, by key."""
NO_RECORDS: Records = {}


class RunJournal(Protocol):
    """Finished blocks of this run and those before it."""

    def __len__(self) -> int: ...
    def __contains__(self, block: str) -> bool: ...
    def __iter__(self) -> Iterator[BlockResult]: ...

    def get(self, block: str) -> BlockResult | None:
        """Return the result of a block, None when it is not finished."""

    def add(self, result: BlockResult) -> None:
        """Note a finished block."""

    def forget(self, blocks: Iterable[str]) -> None:
        """Take back blocks whose keys are no longer there."""

    def close(self) -> None:
        """Keep what is noted."""


class Target(Protocol):
    """Where a run writes."""

    @property
    def location(self) -> str:
        """What people are shown."""

    @property
    def place(self) -> str:
        """Where the draft lies, for messages."""

    @property
    def keys(self) -> KeySpace:
        """The keys of the target, or of its draft, through which every request is counted."""

    @property
    def folder(self) -> Path | None:
        """Folder of the draft on the local disk."""

    @property
    def copies(self) -> int:
        """Copies of a value on its way that are in memory at once; 0 on the local disk, where no requests are made."""

    def read_claim(self) -> tuple[Claim, int] | None:
        """Return the claim of a draft that is there already, and when it was made."""

    def claim(self, claim: Claim, *, resume: bool, shared: bool = False) -> tuple[bool, int]:
        """Take the target for a run; return whether it continues an earlier one, and when that was claimed."""

    def open_data(self) -> OpenedStore:
        """Return the store that the target's chunks are written to."""

    def open_journal(self, *, sync: bool, part: bool = False) -> RunJournal:
        """Return the journal of the run."""

    def choose_scratch(self, scratch: str | os.PathLike[str] | None, *, spread: bool) -> Intermediates:
        """Return where intermediates go: into a folder that is given, else where all hosts reach them."""

    def use_scratch(self, scratch: Intermediates, *, shared: bool = False) -> None:
        """Note where intermediates lie, the same place for all runs that share the draft."""

    def sizes(self, path: str) -> Callable[[str], int | None]:
        """Return how to learn the size of a key of an array, None for one that is missing."""

    def listing(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield the keys of an array with their sizes."""

    def publish(
        self, documents: Mapping[str, bytes], *, sync: bool, scratch: Intermediates, records: Records = NO_RECORDS
    ) -> tuple[str, ...]:
        """Make the target visible, with the records of what it was made from; return what could not be removed."""

    def close(self) -> None:
        """Let other runs have it."""


class DiskTarget:
    """A target on the local disk."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._draft = Draft(path)
        self._overwrite = overwrite
        self.location = str(path)
        self.place = str(self._draft.folder)
        self.folder: Path | None = self._draft.folder
        self.copies = 0
        self.keys: KeySpace = LocalKeys(self._draft.data)

    def read_claim(self) -> tuple[Claim, int] | None:
        """Return the claim of the draft."""
        return self._draft.read_claim()

    def claim(self, claim: Claim, *, resume: bool, shared: bool = False) -> tuple[bool, int]:
        """Take the draft beside the target; what is half-written there goes, unless others may be writing it."""
        resumed, claimed_ns = self._draft.claim(claim, resume=resume, shared=shared)
        if resumed and not shared:
            LocalKeys(self._draft.data).sweep()
        return resumed, claimed_ns

    def open_data(self) -> OpenedStore:
        """Return the draft's data."""
        return open_store(self._draft.data, read_only=False)

    def open_journal(self, *, sync: bool, part: bool = False) -> RunJournal:
        """Return the journal in the draft."""
        return Journal(self._draft.journal, sync=sync, part=part)

    def choose_scratch(self, scratch: str | os.PathLike[str] | None, *, spread: bool) -> Intermediates:
        """Return a folder in the draft, or one of the draft's name in another folder."""
        folder = self._draft.default_scratch if scratch is None else self._draft.scratch_in(existing(scratch))
        return DiskIntermediates(folder)

    def use_scratch(self, scratch: Intermediates, *, shared: bool = False) -> None:
        """Note the folder in the draft."""
        if scratch.folder is not None:
            self._draft.use_scratch(scratch.folder, shared=shared)

    def sizes(self, path: str) -> Callable[[str], int | None]:
        """Return how to ask for the size of a file."""
        root = self._draft.data / path

        def size(key: str) -> int | None:
            try:
                return (root / key).stat().st_size
            except FileNotFoundError:
                return None

        return size

    def listing(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield the files of an array."""
        return listing(str(self._draft.data / path))

    def publish(
        self, documents: Mapping[str, bytes], *, sync: bool, scratch: Intermediates, records: Records = NO_RECORDS
    ) -> tuple[str, ...]:
        """Rename the draft's data to the target."""
        for key, data in records.items():
            self.keys.put(key, data)
        return publish(self._draft, documents, sync=sync, overwrite=self._overwrite, scratch=scratch.folder)

    def close(self) -> None:
        """Let go of the lock."""
        self._draft.release()


class StoreTarget:
    """A target in a store."""

    def __init__(self, opened: OpenedStore, *, overwrite: bool, parents: Callable[[], Iterator[KeySpace]]) -> None:
        self._opened = opened
        self.keys = keys = opened.keys
        self._draft = StoreDraft(keys)
        self._overwrite = overwrite
        self._parents = parents
        self._journal: KeyJournal | None = None
        self.location = keys.location
        self.place = keys.location
        self.folder: Path | None = None
        self.copies = opened.copies

    def read_claim(self) -> tuple[Claim, int] | None:
        """Return the claim below the target."""
        return self._draft.read_claim()

    def claim(self, claim: Claim, *, resume: bool, shared: bool = False) -> tuple[bool, int]:
        """Create the claim below the target; an old target goes once it is there."""
        noted = [] if resume else self._noted_scratch()
        found = self._draft.claim(
            claim, resume=resume, overwrite=self._overwrite, shared=shared, hide=self._hide_from_parents
        )
        for folder in noted:
            remove_tree(folder)
        return found

    def open_data(self) -> OpenedStore:
        """Return the target itself."""
        return self._opened

    def open_journal(self, *, sync: bool, part: bool = False) -> RunJournal:
        """Return the journal below the target."""
        self._journal = KeyJournal(self.keys.below(JOURNAL))
        return self._journal

    def choose_scratch(self, scratch: str | os.PathLike[str] | None, *, spread: bool) -> Intermediates:
        """Return a folder of this host that the same target always gets, or a place below it for several hosts."""
        if scratch is None and spread:
            return StoreIntermediates(self.keys.below(SCRATCH))
        folder = STORE_SCRATCH if scratch is None else existing(scratch)
        return DiskIntermediates(folder / scratch_name(self.location))

    def use_scratch(self, scratch: Intermediates, *, shared: bool = False) -> None:
        """Note the folder below the target; remove what an earlier run had elsewhere."""
        if shared:
            share_scratch(self._draft, str(scratch.folder or ""))
            return
        for other in self._noted_scratch():
            if other != scratch.folder:
                remove_tree(other)
        if scratch.folder is not None:
            self._draft.note_scratch(str(scratch.folder))

    def _noted_scratch(self) -> list[Path]:
        """Return the noted folders of intermediates, those alone that have this target's name: they get removed."""
        paths = map(Path, self._draft.scratch_folders())
        return [path for path in paths if path.is_absolute() and path.name == scratch_name(self.location)]

    def sizes(self, path: str) -> Callable[[str], int | None]:
        """Return the sizes that one listing shows."""
        return listed_sizes(self.keys, path)

    def listing(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield the keys of an array."""
        return listed_keys(self.keys, path)

    def publish(
        self, documents: Mapping[str, bytes], *, sync: bool, scratch: Intermediates, records: Records = NO_RECORDS
    ) -> tuple[str, ...]:
        """Write the metadata, the root's last and only where there is none."""
        self._put_records(records)
        calls = (partial(put_checked, self.keys, f"{path}/{METADATA}", documents[path]) for path in documents if path)
        for _ in collect(WORKSHOP.requests(), calls):
            pass
        self._create_root(documents[""])
        if self._journal is not None:
            self._journal.drop()
        places = [scratch, *map(DiskIntermediates, self._noted_scratch())]
        leftovers = [left for place in places if (left := place.remove()) is not None]
        try:
            self._tell_parents(documents)
        finally:
            try:
                self._draft.tidy()
            except OSError:
                leftovers.append(f"{self.location}/.zarrmill")
        return tuple(leftovers)

    def _put_records(self, records: Records) -> None:
        for _ in collect(WORKSHOP.requests(), (partial(self.keys.put, key, records[key]) for key in records)):
            pass

    def _create_root(self, document: bytes) -> None:
        """Make the target visible: by then all else is there."""
        if not self.keys.create(METADATA, document):
            raise AlreadyExistsError(
                f"{self.location} came to be while this run wrote. Its chunks may be a mixture of both: remove it "
                f"(overwrite, --overwrite) and run again."
            )
        if not is_stored(self.keys, METADATA, document):
            self.keys.delete([METADATA])
            raise PublishError(
                f"{self.keys.location}/{METADATA} was damaged on its way to the store and is removed again. See to "
                f"the network; the same command goes on."
            )

    def _tell_parents(self, documents: Mapping[str, bytes]) -> None:
        """Add a new member to the consolidated metadata of the groups that it lies in."""
        try:
            for parent, group, listed, path in self._listing_parents():
                list_member(listed, path, documents)
                put_checked(parent, METADATA, json.dumps(group, indent=2).encode())
        except ZarrmillError as error:
            raise PublishError(
                f"{self.location} is complete and visible, but the consolidated metadata of a group above it do not "
                f"list it: {error} Consolidate that group's metadata again."
            ) from error

    def _hide_from_parents(self) -> None:
        """Take a member that is about to go out of the consolidated metadata, through which it would still open."""
        for parent, group, listed, path in self._listing_parents():
            if any(p == path or p.startswith(f"{path}/") for p in listed):
                list_member(listed, path, {})
                put_checked(parent, METADATA, json.dumps(group, indent=2).encode())

    def _listing_parents(self) -> Iterator[tuple[KeySpace, dict[str, Any], dict[str, Any], str]]:
        """Yield groups with consolidated metadata: keys, document, members listed there, and this target's path."""
        path = self.location.rstrip("/").rpartition("/")[2]
        for parent in self._parents():
            data = parent.get(METADATA)
            group = None if data is None else document_of(data)
            if group is None:
                return
            listed = group.get("consolidated_metadata")
            if isinstance(listed, dict) and isinstance(listed.get("metadata"), dict):
                yield parent, group, listed["metadata"], path
            path = f"{parent.location.rstrip('/').rpartition('/')[2]}/{path}"

    def close(self) -> None:
        """Do nothing: the claim stays until the run is complete."""


def open_target(
    target: Any, source: OpenedStore, *, overwrite: bool, storage_options: Mapping[str, Any] | None
) -> Target:
    """Return where a run writes; raises for a target that exists, lies in the source or has nowhere to lie."""
    if isinstance(target, str | os.PathLike) and is_local(os.fspath(target)):
        return DiskTarget(check_path(local_path(os.fspath(target)), source, overwrite=overwrite), overwrite=overwrite)
    opened = open_new(target, storage_options=storage_options)
    if opened.local is not None:
        return DiskTarget(check_path(opened.local, source, overwrite=overwrite), overwrite=overwrite)
    check_apart(opened.location, source.location)
    StoreDraft(opened.keys).check_free(overwrite=overwrite)
    parents = parents_of(target, opened, storage_options=storage_options)
    return StoreTarget(opened, overwrite=overwrite, parents=parents)


def parents_of(
    target: Any, opened: OpenedStore, *, storage_options: Mapping[str, Any] | None
) -> Callable[[], Iterator[KeySpace]]:
    """Return what yields the keys of the folders above a target at a URL, the nearest first."""

    def parents() -> Iterator[KeySpace]:
        location = opened.location.rstrip("/")
        while isinstance(target, str) and location.count("/") > 3:
            location = location.rpartition("/")[0]
            yield counted_with(open_keys(location, storage_options=storage_options), opened.keys)

    return parents


def check_path(path: Path, source: OpenedStore, *, overwrite: bool) -> Path:
    """Return the path of a target on the local disk when a run may write there."""
    if source.local is not None:
        check_apart(os.path.realpath(path), os.path.realpath(source.local), shown=str(path))
    if not path.parent.is_dir():
        raise NotFoundError(f"folder {path.parent} for the target is not there. Make it first (mkdir -p).")
    if os.path.lexists(path) and not overwrite:
        raise AlreadyExistsError(f"{path} exists. Choose another target, or say overwrite (--overwrite).")
    return path


def check_apart(target: str, source: str, *, shown: str | None = None) -> None:
    """Raise where one of target and source is, or holds, the other."""
    target, source, shown = target.rstrip("/"), source.rstrip("/"), shown or target
    if target == source:
        raise InvalidInputError(f"target {shown} is the source. Write to another location.")
    if target.startswith(f"{source}/"):
        raise InvalidInputError(f"target {shown} lies inside the source {source}. Write beside it.")
    if source.startswith(f"{target}/"):
        raise InvalidInputError(f"target {shown} holds the source {source}. Write beside it.")


def put_checked(keys: KeySpace, key: str, data: bytes) -> None:
    """Write a value and read it back; raises PublishError when twice something else is there.

    Metadata have no checksum of their own, and a digit that is flipped on its way still makes sense to a reader.
    """
    for _ in range(2):
        keys.put(key, data)
        if is_stored(keys, key, data):
            return
    raise PublishError(
        f"{keys.location}/{key}: what is stored is not what was written, twice. See to the network; the same command "
        f"goes on."
    )


def is_stored(keys: KeySpace, key: str, data: bytes) -> bool:
    """Tell whether a value is there; what is read may be damaged on its way too, so that two readings decide."""
    return any((found := keys.get(key)) is not None and bytes(found) == data for _ in range(2))
