"""Where an update writes: a draft that becomes whole from what is kept, and then takes the place of the old target.

On the local disk the kept keys are linked into the draft, which is then exchanged with the target: readers see all of
the old or all of the new. A store cannot rename: what is made again waits below .zarrmill until all of it is there, and
is then copied to its place, key by key, the metadata last. In those moments readers find old keys beside new ones, each
whole; a run that dies then leaves what the same command completes.

.zarrmill/new/flux/c/0/0 ...  what is made again
.zarrmill/moving              all of it is there, and being copied
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from zarrmill.draft import Claim
from zarrmill.errors import PublishError, ResumeError
from zarrmill.execute.futures import collect
from zarrmill.execute.intermediates import DiskIntermediates, Intermediates
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.inventory import CHUNK_KEY
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import join
from zarrmill.publish import METADATA
from zarrmill.store import OpenedStore, below, is_local, local_path, open_new, open_store
from zarrmill.store_draft import CLAIM, FOLDER, MOVING, StoreDraft, claim_data, document_of, listed_keys, listed_sizes
from zarrmill.target import (
    NO_RECORDS,
    DiskTarget,
    Records,
    StoreTarget,
    check_apart,
    check_path,
    parents_of,
    put_checked,
)
from zarrmill.update import Published, Update

STAGED = f"{FOLDER}/new"
COPIED_AT_ONCE = 2
"""Keys that are copied together: each is held in memory whole."""
_NO_LINK = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class DiskUpdate(DiskTarget):
    """A target on the local disk."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, overwrite=True)
        self.update: Update | None = None

    def claim(self, claim: Claim, *, resume: bool, shared: bool = False) -> tuple[bool, int]:
        """Take the draft; that of an earlier update which is no longer the same goes, as it is soon made again."""
        found = self._draft.read_claim()
        other = found is not None and "update" in found[0].source and bool(found[0].differences(claim))
        return super().claim(claim, resume=resume and not other, shared=shared)

    def publish(
        self, documents: Mapping[str, bytes], *, sync: bool, scratch: Intermediates, records: Records = NO_RECORDS
    ) -> tuple[str, ...]:
        """Link what is kept into the draft, and exchange that with the target."""
        assert self.update is not None
        for path in self.update.changes:
            for key, _ in self.update.kept_keys(path):
                name = join(path, key)
                keep(self._draft.target / name, self._draft.data / name)
        return super().publish(documents, sync=sync, scratch=scratch, records=records)


def keep(old: Path, new: Path) -> None:
    """Have a file in a second place as well: as a link, or as a copy where the file system has no links."""
    try:
        os.link(old, new)
    except FileNotFoundError:
        if not old.exists():
            raise
        new.parent.mkdir(parents=True, exist_ok=True)
        keep(old, new)
    except FileExistsError:
        # An earlier run was stopped between its links and the exchange.
        pass
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        temporary = new.with_name(f"{new.name}.tmp")
        shutil.copy2(old, temporary)
        os.replace(temporary, new)


class UpdateDraft(StoreDraft):
    """The draft of an update, below a target that stays as it is."""

    token = ""
    """Tells the claim of this run from others."""

    def claim(
        self,
        claim: Claim,
        *,
        resume: bool,
        overwrite: bool,
        shared: bool = False,
        hide: Callable[[], None] = lambda: None,
    ) -> tuple[bool, int]:
        """Take the target for an update; raises ResumeError while another request holds it."""
        found = self.read_claim()
        if found is not None:
            self._check_is_update(found[0])
            differences = found[0].differences(claim)
            if resume and not differences:
                self.token = self._stored_token()
                return True, found[1]
            # A finished update that could not tidy up has left its claim: the records are not those that it found.
            finished = found[0].source["update"].get("of") != claim.source["update"]["of"]
            if resume and not finished:
                raise ResumeError(
                    f"{self.location} is held by another update: {'; '.join(differences[:3])}. Wait for it to end; if "
                    f"it was stopped, start again (--no-resume)."
                )
            self._forget()
        data, now, self.token = claim_data(claim)
        if not self._create(data, self.token):
            raise ResumeError(f"another run has just claimed {self.location}. Wait for it to end, or stop it.")
        return False, now

    def _check_is_update(self, found: Claim) -> None:
        if "update" not in found.source:
            raise ResumeError(
                f"{self.location} is being made by another run, which is no update. Wait for it to end, or remove its "
                f"draft (zarrmill discard {self.location})."
            )

    def _stored_token(self) -> str:
        document = document_of(self.keys.get(CLAIM) or b"") or {}
        return str(document.get("token"))

    def check_held(self) -> None:
        """Raise PublishError when another run has taken the claim."""
        if self._stored_token() != self.token:
            raise PublishError(f"another run has claimed {self.location} meanwhile. Nothing of this one is published.")

    def _forget(self) -> None:
        """Remove an earlier update, but the mark that keys were being copied: those keys are made again."""
        self.keys.delete(info.key for info in self.keys.list(FOLDER) if info.key not in (CLAIM, MOVING))
        self.keys.delete([CLAIM])


class StoreUpdate(StoreTarget):
    """A target in a store."""

    def __init__(self, opened: OpenedStore, *, parents: Callable[[], Iterator[KeySpace]]) -> None:
        super().__init__(opened, overwrite=False, parents=parents)
        self._draft: UpdateDraft = UpdateDraft(opened.keys)
        self._staged = below(opened, STAGED)
        self.update: Update | None = None

    def open_data(self) -> OpenedStore:
        """Return where keys wait for the others."""
        return self._staged

    def sizes(self, path: str) -> Callable[[str], int | None]:
        """Return the sizes that one listing of what was made again shows."""
        return listed_sizes(self._staged.keys, path)

    def listing(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield the keys of an array that were made again."""
        return listed_keys(self._staged.keys, path)

    def publish(
        self, documents: Mapping[str, bytes], *, sync: bool, scratch: Intermediates, records: Records = NO_RECORDS
    ) -> tuple[str, ...]:
        """Copy what was made again to its place, then the metadata and the records."""
        assert self.update is not None
        self._draft.check_held()
        self.keys.put(MOVING, b"")
        for path in self.update.changes:
            self._move(path)
        for path in sorted(documents, key=lambda path: (path == "", path)):
            put_checked(self.keys, join(path, METADATA), documents[path])
        self._put_records(records)
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
                leftovers.append(f"{self.location}/{FOLDER}")
        return tuple(leftovers)

    def _move(self, path: str) -> None:
        """Copy the keys of an array to their place, and remove those that are neither kept nor made again."""
        assert self.update is not None
        staged = [key for key, _ in self.listing(path)]
        calls = (partial(self._copy, join(path, key)) for key in staged)
        for _ in collect(WORKSHOP.requests(), calls, in_flight=COPIED_AT_ONCE):
            pass
        wanted = {*staged, *(key for key, _ in self.update.kept_keys(path))}
        there = (key for key, _ in listed_keys(self.keys, path) if CHUNK_KEY.fullmatch(key))
        self.keys.delete([join(path, key) for key in there if key not in wanted])

    def _copy(self, key: str) -> None:
        data = self._staged.keys.get(key)
        if data is None:
            raise PublishError(f"{self._staged.location}/{key} is gone. The same command writes it again.")
        self.keys.put(key, data)


def open_published(target: Any, *, storage_options: Mapping[str, Any] | None) -> Published | None:
    """Return what is at a target already, None for nothing; raises InvalidInputError where it has no record."""
    if isinstance(target, str | os.PathLike) and is_local(os.fspath(target)):
        path = local_path(os.fspath(target))
        return Published.read(open_store(path)) if os.path.lexists(path) else None
    opened = open_new(target, storage_options=storage_options)
    if opened.local is None and not StoreDraft(opened.keys).is_published():
        return None
    return Published.read(opened)


def open_update(
    target: Any, opened: OpenedStore, source: OpenedStore, *, storage_options: Mapping[str, Any] | None
) -> DiskUpdate | StoreUpdate:
    """Return where an update of the published target at ``opened`` writes; raises where that and the source overlap."""
    if opened.local is not None:
        # Draft and target change places where the store is, not where a symbolic link to it is.
        return DiskUpdate(Path(os.path.realpath(check_path(opened.local, source, overwrite=True))))
    check_apart(opened.location, source.location)
    return StoreUpdate(opened, parents=parents_of(target, opened, storage_options=storage_options))
