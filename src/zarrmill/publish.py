"""From draft to visible: everything is there, then the metadata, the root's last, then one rename."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zarrmill.draft import Draft, remove_tree
from zarrmill.errors import AlreadyExistsError, PublishError
from zarrmill.execute.keys import add_terms, key_term
from zarrmill.journal import sync_file_system
from zarrmill.made_from import RECORD

METADATA = "zarr.json"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def publish(
    draft: Draft, documents: Mapping[str, bytes], *, sync: bool, overwrite: bool, scratch: Path | None = None
) -> tuple[str, ...]:
    """Make a complete draft visible at its target; return the leftovers that could not be removed.

    ``documents`` holds the metadata by path, "" for the root. An existing target is exchanged in one step where the
    file system can do that. Raises AlreadyExistsError, PublishError.
    """
    _write_documents(draft.data, documents)
    if sync:
        sync_file_system(draft.data)
    old = _put_in_place(draft, overwrite=overwrite)
    if sync:
        _sync_folder(draft.target.parent)
    _tell_parents(draft.target, documents)
    stale = {path: None for path in (old, scratch, *draft.scratch_folders()) if path is not None}
    leftovers = [path for path in stale if not _removed(path)]
    # The lock goes last, so that nobody else starts here while what is large is removed.
    with contextlib.suppress(OSError):
        draft.empty()
    if not _removed(draft.folder):
        leftovers.append(draft.folder)
    draft.release()
    return tuple(map(str, leftovers))


def _write_documents(data: Path, documents: Mapping[str, bytes]) -> None:
    """Write the metadata of every node, children before their parents."""
    for path in sorted(documents, key=lambda p: (-len(p.split("/")) if p else 1, p)):
        folder = f"{data}/{path}" if path else str(data)
        # The folder of an array that has chunks is there, which is quicker to see than to try.
        if not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.{METADATA}.tmp"
        with open(temporary, "wb") as file:
            file.write(documents[path])
        os.replace(temporary, f"{folder}/{METADATA}")


def _put_in_place(draft: Draft, *, overwrite: bool) -> Path | None:
    """Rename the data to the target; return where the old target went, None when there was none."""
    target = draft.target
    if not os.path.lexists(target):
        os.rename(draft.data, target)
        return None
    if not overwrite:
        raise AlreadyExistsError(
            f"{target} came to be while this run wrote its draft. The draft is complete: move {target} away, or "
            f"repeat the command with --overwrite."
        )
    if _exchange(draft.data, target):
        return draft.data
    old = draft.old
    remove_tree(old)
    # Without an exchange there is a moment in which the target is not there; it is never half there.
    os.rename(target, old)
    os.rename(draft.data, target)
    return old


def _exchange(a: Path, b: Path) -> bool:
    """Exchange two paths in one step; return False where the system or the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    if libc.renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise PublishError(f"{b} could not be replaced: {os.strerror(code)}. The draft {a} is complete and still there.")


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _removed(path: Path) -> bool:
    with contextlib.suppress(OSError):
        remove_tree(path)
    return not os.path.lexists(path)


def _tell_parents(target: Path, documents: Mapping[str, bytes]) -> None:
    """Add a new member to the consolidated metadata of the groups that it lies in."""
    path = target.name
    for folder in target.parents:
        try:
            group = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        listed = group.get("consolidated_metadata") if isinstance(group, dict) else None
        if isinstance(listed, dict) and isinstance(listed.get("metadata"), dict):
            list_member(listed["metadata"], path, documents)
            temporary = folder / f".{METADATA}.tmp"
            temporary.write_text(json.dumps(group, indent=2), encoding="utf-8")
            os.replace(temporary, folder / METADATA)
        path = f"{folder.name}/{path}"


def list_member(listed: dict[str, Any], path: str, documents: Mapping[str, bytes]) -> None:
    """Set a new member, with all that is below it, in the consolidated metadata of a group."""
    for old in [p for p in listed if p == path or p.startswith(f"{path}/")]:
        del listed[old]
    for below, text in documents.items():
        document = json.loads(text)
        document.pop("consolidated_metadata", None)
        listed[f"{path}/{below}" if below else path] = document


def stored_terms(listed: Iterable[tuple[str, int]], prefix: str) -> int:
    """Return the fingerprint of the keys of one array as a listing shows them, each with its size.

    ``prefix`` is the array's path within the store; metadata and records do not count.
    """
    total = 0
    for key, nbytes in listed:
        if not key.rpartition("/")[2].endswith((METADATA, RECORD, ".tmp")):
            total = add_terms(total, key_term(f"{prefix}/{key}", nbytes))
    return total


def listing(folder: str) -> Iterator[tuple[str, int]]:
    """Yield relative name and size of every file below a folder."""
    return _listing(folder, "")


def _listing(folder: str, below: str) -> Iterator[tuple[str, int]]:
    """Yield relative name and size of every file below a folder."""
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _listing(entry.path, f"{below}{entry.name}/")
            else:
                yield f"{below}{entry.name}", entry.stat().st_size
