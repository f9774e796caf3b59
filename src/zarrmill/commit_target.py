"""An icechunk repository as the target of a run: all is written in one transaction, and its commit is the publishing.

Nothing is visible before the commit, and what a killed run has written nobody can reach: it starts again. Only the
intermediates, and what was done so far, lie in a draft on the local disk.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from zarr.core.sync import sync
from zarr.storage import StorePath

from zarrmill.documents import encode_document
from zarrmill.draft import Claim, Draft
from zarrmill.errors import AlreadyExistsError, BlockFailedError, InvalidInputError
from zarrmill.execute.intermediates import DiskIntermediates, Intermediates, existing
from zarrmill.execute.run import KEPT
from zarrmill.icechunk_repository import Transaction, is_icechunk, open_transaction, place_to_write
from zarrmill.journal import Journal
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import join
from zarrmill.keyspace.zarr_keys import COPIES
from zarrmill.layout import ArrayLayout
from zarrmill.prepare import Prepared
from zarrmill.publish import METADATA
from zarrmill.report import RechunkReport
from zarrmill.store import OpenedStore, open_store
from zarrmill.store_draft import STORE_SCRATCH, document_of, listed_keys, listed_sizes
from zarrmill.target import NO_RECORDS, Records

EXECUTORS = (None, "serial", "threads")
"""What can run blocks: a session lives in one process."""
READ_BYTES, WRITTEN_BYTES = (200, 1000), (700, 2100)
"""Memory that icechunk keeps of each key that is read and, until the commit is made, of each that is written.

Measured with 60,000 keys: of a reference to a value, and of a value that it keeps in the manifest itself.
"""
MAY_BE_INLINE = 2**16
"""Decoded bytes of values that may be so few when they are encoded that they are kept there, which is up to 512."""
_GROUP = {"zarr_format": 3, "node_type": "group", "attributes": {}}


def check_executor(executor: Any) -> None:
    """Raise InvalidInputError for an executor of other processes, or of threads that come and go."""
    if executor not in EXECUTORS:
        raise InvalidInputError(
            f"executor {executor!r} cannot write to an icechunk repository: its session lives in this process. "
            f"Use 'threads' or 'serial'."
        )


def fitted(prepared: Prepared, target: str) -> Prepared:
    """Return a request with what icechunk needs where it is at one end: memory for every key, and metadata it takes.

    Its chunk keys are like c/0/0, and nothing is consolidated.
    """
    held = 0
    if is_icechunk(prepared.source.location):
        held += sum(_held(job.source, READ_BYTES) for job in prepared.jobs.values())
    if is_icechunk(target):
        held += sum(_held(job.target, WRITTEN_BYTES) for job in prepared.jobs.values())
        documents = {path: _with_slashes(document) for path, document in prepared.documents.items()}
        hierarchy = replace(prepared.hierarchy, consolidated=False)
        prepared = replace(prepared, documents=documents, hierarchy=hierarchy)
    remote = replace(prepared.remote, held=held)
    jobs = {path: replace(job, remote=remote) for path, job in prepared.jobs.items()}
    return replace(prepared, jobs=jobs, remote=remote)


def _held(layout: ArrayLayout, bytes_per_key: tuple[int, int]) -> int:
    """Return what icechunk holds of all keys of an array."""
    small = math.prod(layout.write_chunk) * layout.itemsize <= MAY_BE_INLINE
    return layout.n_write_chunks * bytes_per_key[small]


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
        self._draft = Draft(self._place.draft_path(STORE_SCRATCH))
        self._claimed = False
        self._source = ""
        self._snapshot = ""
        self.location = self.place = self._place.shown()
        self.folder: Path | None = None
        self.copies = COPIES

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
        return Journal(self._draft.journal, sync=False)

    def choose_scratch(self, scratch: str | os.PathLike[str] | None, *, spread: bool) -> Intermediates:
        """Return a folder in the draft of this node, or one of the draft's name in another folder."""
        folder = self._draft.default_scratch if scratch is None else self._draft.scratch_in(existing(scratch))
        return DiskIntermediates(folder)

    def use_scratch(self, scratch: Intermediates, *, shared: bool = False) -> None:
        """Note the folder in the draft."""
        if scratch.folder is not None:
            self._draft.use_scratch(scratch.folder)

    def sizes(self, path: str) -> Callable[[str], int | None]:
        """Return the sizes that a listing shows."""
        return listed_sizes(self.keys, path)

    def listing(self, path: str) -> Iterator[tuple[str, int]]:
        """Yield the keys of an array with their sizes."""
        return listed_keys(self.keys, path)

    def publish(
        self, documents: Mapping[str, bytes], *, sync: bool, scratch: Intermediates, records: Records = NO_RECORDS
    ) -> tuple[str, ...]:
        """Commit, without records: a repository takes keys of Zarr alone.

        Raises PublishError where another commit is about the same nodes.
        """
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
        """Forget what was not committed, and remove the draft, which nobody can use any more."""
        if not self._claimed:
            return
        try:
            self._transaction.discard()
        finally:
            self._draft.remove()
