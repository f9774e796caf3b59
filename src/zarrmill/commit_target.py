"""An icechunk repository as the target of a run: all is written in one transaction, and its commit is the publishing.

Nothing is visible before the commit, and what a killed run has written nobody can reach: it starts again. Only the
intermediates, and what was done so far, lie in a draft on the local disk.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from zarr.core.sync import sync
from zarr.storage import StorePath

from zarrmill.draft import Claim, Draft
from zarrmill.errors import AlreadyExistsError, BlockFailedError, InvalidInputError
from zarrmill.execute.intermediates import DiskIntermediates, Intermediates
from zarrmill.execute.run import KEPT
from zarrmill.icechunk_repository import Transaction, open_transaction, place_to_write
from zarrmill.journal import Journal
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import join
from zarrmill.metadata import encode_document
from zarrmill.prepare import Prepared
from zarrmill.publish import METADATA
from zarrmill.report import RechunkReport
from zarrmill.store import OpenedStore, open_store
from zarrmill.store_draft import document_of, listed_keys, listed_sizes
from zarrmill.target import STORE_SCRATCH, existing

EXECUTORS = (None, "serial", "threads")
"""What can run blocks: a session lives in one process."""
_GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}


def check_executor(executor: Any) -> None:
    """Raise InvalidInputError for an executor of other processes, or of threads that come and go."""
    if executor not in EXECUTORS:
        raise InvalidInputError(
            f"executor {executor!r} cannot write to an icechunk repository: its session lives in this process. "
            f"Use 'threads' or 'serial'."
        )


def for_commit(prepared: Prepared) -> Prepared:
    """Return a request with metadata that icechunk takes: chunk keys like c/0/0, and nothing consolidated."""
    documents = {path: _with_slashes(document) for path, document in prepared.documents.items()}
    return replace(prepared, documents=documents, hierarchy=replace(prepared.hierarchy, consolidated=False))


def _with_slashes(document: dict[str, Any]) -> dict[str, Any]:
    if document["node_type"] == "group":
        return document
    return {**document, "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}}


class CommitTarget:
    """A node of a repository."""

    def __init__(self, target: Any, *, overwrite: bool, storage_options: Mapping[str, Any] | None = None) -> None:
        self._asked = target
        self._options = storage_options
        self._overwrite = overwrite
        self._place = place_to_write(target)
        self._draft: Draft | None = None
        self._claimed = False
        self._source = ""
        self._snapshot = ""
        self.location = self.place = self._place.shown()
        self.folder: Path | None = None
        self.is_remote = True

    @cached_property
    def _transaction(self) -> Transaction:
        """The session: begun when it is first needed, so that a plan makes no repository."""
        return open_transaction(self._asked, self._options)

    @cached_property
    def _data(self) -> OpenedStore:
        store, path = self._transaction.store, self._place.path
        return open_store(StorePath(store, path), read_only=False)

    @property
    def keys(self) -> KeySpace:
        """The keys of the node as they will be."""
        return self._data.keys

    def read_claim(self) -> tuple[Claim, int] | None:
        """Return None: no run is continued."""
        return None

    def claim(self, claim: Claim, *, resume: bool, shared: bool = False) -> tuple[bool, int]:
        """Begin the run on this host, see that there is no node, and write the metadata.

        icechunk takes no chunk of an array that it does not know. Raises AlreadyExistsError for a node that is there,
        ResumeError when another run of this host writes it.
        """
        if shared or self._draft is None:
            raise InvalidInputError(f"{self.location} is written by one process alone. Use zarrmill rechunk.")
        _, since = self._draft.claim(claim, resume=False)
        self._claimed = True
        self._source = claim.plan["source"]
        self._make_room()
        documents = dict(claim.plan["documents"])
        for path in sorted(documents, key=lambda p: (p.count("/") + bool(p), p)):
            self.keys.put(join(path, METADATA), documents[path].encode())
        return False, since

    def _make_room(self) -> None:
        """Remove an old node, and make the groups above a new one."""
        store, path = self._transaction.store, self._place.path
        if self.keys.head(METADATA) is not None:
            if not self._overwrite:
                raise AlreadyExistsError(
                    f"there is a node at {self.location}. Choose another path, or say overwrite (--overwrite): the "
                    f"old one stays in the history."
                )
            sync(store.delete_dir(path) if path else store.clear())
        whole = open_store(store, read_only=False).keys
        above = path.split("/")[:-1]
        for depth in range(len(above) + 1) if path else ():
            key = join("/".join(above[:depth]), METADATA)
            found = whole.get(key)
            if found is None:
                whole.put(key, encode_document(_GROUP))
            elif (document_of(found) or {}).get("node_type") != "group":
                raise InvalidInputError(f"{self.location} lies in an array ({key}). Choose another path.")

    def open_data(self) -> OpenedStore:
        """Return the node as a store."""
        return self._data

    def open_journal(self, *, sync: bool, part: bool = False) -> Journal:
        """Return an account of this run alone."""
        assert self._draft is not None
        return Journal(self._draft.journal, sync=False)

    def choose_scratch(self, scratch: str | os.PathLike[str] | None, *, spread: bool) -> Intermediates:
        """Return a folder in the draft of this node: beside a repository on the local disk, or in the folder given."""
        where = self._place.folder
        folder = (where.parent if where is not None else STORE_SCRATCH) if scratch is None else existing(scratch)
        # A repository that came as an object does not tell its place, so that no two of them may share a name.
        place = self.location if self._place.where else uuid.uuid4().hex
        self._draft = Draft(folder / f"icechunk-{hashlib.blake2b(place.encode(), digest_size=6).hexdigest()}")
        return DiskIntermediates(self._draft.default_scratch)

    def use_scratch(self, scratch: Intermediates) -> None:
        """Do nothing: intermediates are in the draft."""

    def sizes(self, path: str) -> Callable[[str], int | None]:
        """Return the sizes that a listing shows."""
        return listed_sizes(self.keys, path)

    def listing(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield the keys of an array with their sizes."""
        return listed_keys(self.keys, path)

    def publish(self, documents: Mapping[str, bytes], *, sync: bool, scratch: Intermediates) -> tuple[str, ...]:
        """Commit. Raises PublishError where another commit is about the same nodes."""
        self._snapshot = self._transaction.commit(f"zarrmill: rechunk of {self._source}")
        return ()

    def told(self, do: Callable[[], RechunkReport]) -> RechunkReport:
        """Return the report of a run with the snapshot that it made; a failure says that nothing is kept."""
        try:
            report = do()
        except BlockFailedError as error:
            error.args = (str(error).replace(KEPT, "Nothing of this run is visible: run again."),)
            raise
        return replace(report, notes=(*report.notes, f"committed as snapshot {self._snapshot}"))

    def close(self) -> None:
        """Forget what was not committed, and remove the draft."""
        if self._claimed and self._draft is not None:
            self._transaction.discard()
            self._draft.remove()
