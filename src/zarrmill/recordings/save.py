"""Saving a dataset as one Zarr store, all or nothing: on disk by a rename, in an object store by its root's metadata.

Everything is encoded before the first key is put. What readers of an object store see:

- of a new store nothing, until the root's ``zarr.json`` is created as the last key;
- of a store that is replaced the old one, until one PUT of the root's ``zarr.json`` has them see the new one. Its
  chunks lie beside the old ones by then, under names that the old metadata never use. The old ones go last: who has
  opened the old store, and reads an array for the first time after that, finds its fill values.
- Whoever leaves the consolidated metadata aside sees the arrays change one after the other, each of them whole.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zarrmill.documents import encode_document
from zarrmill.draft import Claim, Draft
from zarrmill.errors import AlreadyExistsError, PublishError
from zarrmill.execute.futures import collect
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import Buffer, KeySpace, Requests
from zarrmill.keyspace.local import LocalKeys
from zarrmill.publish import METADATA, publish
from zarrmill.recordings.encoded_dataset import Clean, EncodedDataset, Scheme, encode_dataset
from zarrmill.recordings.store_claim import claimed
from zarrmill.store import open_keys
from zarrmill.store_draft import FOLDER, document_of

_MD5 = re.compile("[0-9a-f]{32}")
"""A tag that may be the MD5 of its value."""


@dataclass(frozen=True, slots=True)
class SavedStore:
    """A store that was written."""

    location: str
    """Where it is."""
    arrays: int
    """Number of its arrays."""
    nbytes: int
    """Bytes of its chunks."""
    requests: Requests
    """Requests that it took, metadata included."""


def save_dataset(
    dataset: Any,
    location: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    sync: bool = True,
    clean: Clean | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> SavedStore:
    """Write an xarray Dataset or DataTree to one Zarr v3 store at a path or URL, visible when all of it is there.

    Every array is one key, and one ``zarr.json``; the root's holds a copy of all of them. ``clean`` is applied to every
    text. Raises AlreadyExistsError unless ``overwrite``, InvalidInputError for what cannot be stored.
    """
    keys = open_keys(location, storage_options=storage_options)
    return save_encoded(encode_dataset(dataset, clean=clean), keys, overwrite=overwrite, sync=sync)


def save_encoded(store: EncodedDataset, keys: KeySpace, *, overwrite: bool, sync: bool = True) -> SavedStore:
    """Write an encoded dataset where keys begin."""
    before = keys.counts.snapshot()
    if isinstance(keys, LocalKeys):
        requests = _save_on_disk(store, keys.path, overwrite=overwrite, sync=sync)
    else:
        _save_in_store(store, keys, overwrite=overwrite)
        requests = keys.counts.snapshot() - before
    return SavedStore(keys.location, len(store.arrays), store.nbytes, requests)


def _save_on_disk(store: EncodedDataset, path: Path, *, overwrite: bool, sync: bool) -> Requests:
    """Write a draft beside the target and rename it; an old store is exchanged for it in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _check_replaceable(path, overwrite=overwrite)
    draft = Draft(path)
    draft.claim(Claim({"kind": "dataset", "digest": store.digest()}, {}), resume=False)
    try:
        keys = LocalKeys(draft.data)
        keys.fill(store.chunks("."))
        documents = store.documents(".")
        publish(draft, documents, sync=sync, overwrite=overwrite)
        nbytes = sum(map(len, documents.values()))
        return keys.counts.snapshot() + Requests(puts=len(documents), bytes_written=nbytes)
    except BaseException:
        draft.remove()
        raise


def _check_replaceable(path: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise AlreadyExistsError(f"{path} exists. Choose another target, or say overwrite (--overwrite).")
    if not (path / METADATA).is_file():
        raise AlreadyExistsError(f"{path} is no Zarr store and is not replaced. Move it away.")


def _save_in_store(store: EncodedDataset, keys: KeySpace, *, overwrite: bool) -> None:
    """Put every key, the root's metadata so that the store appears, or changes, in one step."""
    if not overwrite and keys.head(METADATA) is not None:
        raise AlreadyExistsError(f"{keys.location} exists. Choose another target, or say overwrite (--overwrite).")
    with claimed(keys, store.digest()) as taken_over:
        found = keys.get(METADATA)
        old = None if found is None else document_of(found) or {}
        if old and taken_over:
            # A run that was killed may have changed some arrays; their old chunks are about to be written over.
            _put_all(keys, _listed_documents(old))
        scheme = _free_scheme(keys, old)
        documents, chunks = store.documents(scheme), store.chunks(scheme)
        root = documents.pop("")
        children: dict[str, Buffer] = {f"{path}/{METADATA}": data for path, data in documents.items()}
        first = chunks | children if old is None else chunks
        present = _check_present(keys, _put_all(keys, first), first)
        # What a killed run left where this store has fill values.
        keys.delete(sorted(present & store.absent(scheme)))
        _show(keys, root, replaces=old is not None)
        if old is not None:
            _put_all(keys, children)
        stale = present - set(chunks) - set(children) - {METADATA}
        keys.delete(key for key in sorted(stale) if not key.startswith(f"{FOLDER}/"))


def _put_all(keys: KeySpace, values: Mapping[str, Buffer]) -> dict[str, str | None]:
    """Put values, several at a time; return the store's tag of each."""
    calls: Iterable[Callable[[], str | None]] = (partial(_put_sound, keys, key, data) for key, data in values.items())
    return dict(zip(values, collect(WORKSHOP.requests(), calls), strict=True))


def _put_sound(keys: KeySpace, key: str, data: Buffer) -> str | None:
    """Put a value and return the store's tag of it. Raises PublishError where twice something else was stored.

    Most services' tags are checksums. Where they are not, metadata are read back; chunks have checksums of their own.
    """
    for _ in range(2):
        tag = keys.put(key, data)
        if _has_md5(data, tag) or (_MD5.fullmatch(_bare(tag)) is None and not key.endswith(METADATA)):
            return tag
        if _holds(keys, key, data):
            return tag
    keys.delete([key])
    raise PublishError(f"{keys.location}/{key} was damaged twice on its way to the store. See to the network.")


def _check_present(keys: KeySpace, tags: Mapping[str, str | None], values: Mapping[str, Buffer]) -> set[str]:
    """Return all keys of a place. Raises PublishError where one that was put is not there as it was put."""
    listed = {info.key: info for info in keys.list()}
    for key, data in values.items():
        info, nbytes = listed.get(key), memoryview(data).nbytes
        if info is None or (info.nbytes is not None and info.nbytes != nbytes):
            held = "missing" if info is None else f"{info.nbytes} bytes of {nbytes}"
            raise PublishError(f"{keys.location}/{key} is {held} after it was written. Run again.")
        if tags[key] is not None and info.etag is not None and _bare(info.etag) != _bare(tags[key]):
            raise PublishError(f"{keys.location}/{key} was changed by somebody else. Run again, one run at a time.")
    return set(listed)


def _bare(tag: str | None) -> str:
    return (tag or "").strip('"')


def _has_md5(data: Buffer, tag: str | None) -> bool:
    return _bare(tag) == hashlib.md5(data, usedforsecurity=False).hexdigest()


def _holds(keys: KeySpace, key: str, data: Buffer) -> bool:
    """Tell whether a key has a value; what is read may be damaged on its way too, so that two readings decide."""
    return any((found := keys.get(key)) is not None and bytes(found) == bytes(data) for _ in range(2))


def _show(keys: KeySpace, root: bytes, *, replaces: bool) -> None:
    """Put the root's metadata: the one step in which everything is there."""
    if replaces:
        _put_sound(keys, METADATA, root)
    elif not keys.create(METADATA, root):
        raise AlreadyExistsError(f"{keys.location} came to be while this run wrote. Run again to replace it.")
    elif not _holds(keys, METADATA, root):
        _put_sound(keys, METADATA, root)


def _listed_documents(root: Mapping[str, Any]) -> dict[str, Buffer]:
    """Return the metadata of every member by key, as the root's hold them."""
    found: dict[str, Buffer] = {}
    for path, document in _members(root).items():
        bare = {name: value for name, value in document.items() if name != "consolidated_metadata"}
        found[f"{path}/{METADATA}"] = encode_document(bare)
    return found


def _members(root: Mapping[str, Any]) -> dict[str, Any]:
    listed = root.get("consolidated_metadata")
    found = listed.get("metadata") if isinstance(listed, dict) else None
    return found if isinstance(found, dict) else {}


def _free_scheme(keys: KeySpace, old: Mapping[str, Any] | None) -> Scheme:
    """Return a scheme of names that the metadata of an old store do not use."""
    if old is None:
        return "."
    members = _members(old)
    used = _schemes(members.values()) if members else _schemes_of_names(info.key for info in keys.list())
    return "/" if "." in used else "."


def _schemes(documents: Iterable[Any]) -> set[str]:
    found = set()
    for document in documents:
        encoding = document.get("chunk_key_encoding") if isinstance(document, dict) else None
        if isinstance(encoding, dict):
            config = encoding.get("configuration") or {}
            default = encoding.get("name") == "default"
            scalar = not document.get("shape")
            found.add("." if default and (scalar or config.get("separator", "/") == ".") else "/")
    return found


def _schemes_of_names(names: Iterable[str]) -> set[str]:
    return {"." for name in names if name.rpartition("/")[2].startswith("c.") or name.endswith("/c")}
