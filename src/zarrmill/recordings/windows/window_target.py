"""Where windows are written: a draft on disk that is renamed, or keys of a store whose root metadata come last.

An old store in an object store stays readable until the new one is complete: the new chunks lie beside the old ones,
under names of another scheme, and one PUT of the root's ``zarr.json``, which has a copy of all metadata, changes over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zarrmill.draft import Claim
from zarrmill.errors import AlreadyExistsError, InvalidInputError
from zarrmill.execute.intermediates import Intermediates
from zarrmill.key_store import KeyStore
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.publish import METADATA
from zarrmill.recordings.windows.window_store import Scheme
from zarrmill.store import OpenedStore
from zarrmill.store_draft import CLAIM, FOLDER, StoreDraft, document_of
from zarrmill.target import NO_RECORDS, DiskTarget, Records, StoreTarget, Target, put_checked


def open_window_target(keys: KeySpace, source: Path, *, overwrite: bool) -> tuple[Target, Scheme]:
    """Return where a run writes that begins at some keys, and how its chunks are named.

    Raises AlreadyExistsError for what is there, InvalidInputError for the source itself.
    """
    if isinstance(keys, LocalKeys):
        if os.path.realpath(keys.path) == os.path.realpath(source):
            raise InvalidInputError(f"target {keys.path} is the source. Write to another location.")
        _check_replaceable(keys.path, overwrite=overwrite)
        keys.path.parent.mkdir(parents=True, exist_ok=True)
        return DiskTarget(keys.path, overwrite=overwrite), "."
    StoreDraft(keys).check_free(overwrite=overwrite)
    opened = OpenedStore(keys.location, KeyStore(keys), None, keys)
    root = document_of(keys.get(METADATA) or b"") if overwrite else None
    used = schemes_of(root) if root is not None else set()
    if len(used) == 1:
        scheme: Scheme = "/" if "." in used else "."
        return ReplacingTarget(opened, scheme), scheme
    return StoreTarget(opened, overwrite=overwrite, parents=_no_parents), "."


def _check_replaceable(path: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise AlreadyExistsError(f"{path} exists. Choose another target, or say overwrite (--overwrite).")
    if not (path / METADATA).is_file():
        raise AlreadyExistsError(f"{path} is no Zarr store and is not replaced. Move it away.")


def _no_parents() -> Iterator[KeySpace]:
    """Yield nothing: stores of sessions lie in plain folders, never in a group."""
    return iter(())


def schemes_of(root: Mapping[str, Any]) -> set[str]:
    """Return how the chunks of a store are named, by the metadata of its root."""
    listed = (root.get("consolidated_metadata") or {}).get("metadata") or {}
    arrays = [document for document in listed.values() if document.get("node_type") == "array"]
    encodings = [document.get("chunk_key_encoding") or {} for document in arrays]
    return {str((found.get("configuration") or {}).get("separator", "/")) for found in encodings}


def is_named_by(key: str, scheme: Scheme) -> bool:
    """Tell whether a key is a chunk whose name is of a scheme.

    >>> is_named_by("eeg/c.3.0.0", "."), is_named_by("eeg/c/3/0/0", "."), is_named_by("channels/valid/c/0", "/")
    (True, False, True)
    """
    if scheme == ".":
        return key.rpartition("/")[2].startswith("c.")
    parts = key.split("/")
    return "c" in parts and all(part.isdecimal() for part in parts[parts.index("c") + 1 :]) and parts[-1] != "c"


class _ReplacingDraft(StoreDraft):
    """A draft beside a store that stays."""

    def __init__(self, keys: KeySpace, scheme: Scheme) -> None:
        super().__init__(keys)
        self._scheme = scheme

    def _begin(self, overwrite: bool, hide: Callable[[], None]) -> None:
        """Remove what other runs may have left, the chunks of an unfinished store too: they would fill holes."""
        left = (info.key for info in self.keys.list())
        self.keys.delete(
            key for key in left if (key.startswith(f"{FOLDER}/") and key != CLAIM) or is_named_by(key, self._scheme)
        )


class ReplacingTarget(StoreTarget):
    """A target in a store where an old one stays until the new one is complete."""

    def __init__(self, opened: OpenedStore, scheme: Scheme) -> None:
        super().__init__(opened, overwrite=False, parents=_no_parents)
        self._scheme = scheme
        self._draft = _ReplacingDraft(opened.keys, scheme)

    def claim(self, claim: Claim, *, resume: bool, shared: bool = False) -> tuple[bool, int]:
        """Create the claim below the target; the old one stays."""
        return self._draft.claim(claim, resume=resume, overwrite=False)

    def publish(
        self, documents: Mapping[str, bytes], *, sync: bool, scratch: Intermediates, records: Records = NO_RECORDS
    ) -> tuple[str, ...]:
        """Change over by the root's metadata, then write those of the members and remove the old chunks."""
        put_checked(self.keys, METADATA, documents[""])
        for path in documents:
            if path:
                put_checked(self.keys, f"{path}/{METADATA}", documents[path])
        self._put_records(records)
        kept = {f"{path}/{METADATA}" if path else METADATA for path in documents} | set(records)
        if self._journal is not None:
            self._journal.drop()
        doomed = [info.key for info in self.keys.list() if not self._stays(info.key, kept)]
        self.keys.delete(doomed)
        self._draft.tidy()
        return ()

    def _stays(self, key: str, kept: set[str]) -> bool:
        return key in kept or key.startswith(f"{FOLDER}/") or is_named_by(key, self._scheme)
