"""Removing what a run that nobody resumes has left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zarrmill.draft import Draft, find_drafts, remove_tree, tree_nbytes
from zarrmill.errors import InvalidInputError, NotFoundError, ResumeError
from zarrmill.icechunk_repository import is_icechunk, place_to_write
from zarrmill.info import keys_of, local_folder
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import join
from zarrmill.store import check_answered, options_for
from zarrmill.store_draft import FOLDER, MOVING, STORE_SCRATCH, StoreDraft, scratch_name


@dataclass(frozen=True, slots=True)
class DiscardReport:
    """What was removed."""

    removed: tuple[str, ...]
    """What is gone: the draft, and its scratch folders elsewhere."""
    nbytes: int
    """Bytes that their files or keys had."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def discard(target: Any, *, storage_options: Mapping[str, Any] | None = None) -> DiscardReport:
    """Remove the draft of a target with its journal and intermediates; what is published at the target stays.

    Where a run was stopped while it replaced an old target, on a file system that cannot exchange two folders, the
    old one is put back first. Raises NotFoundError where there is no draft, ResumeError while a run holds it.

    In a store (``storage_options`` are those of ``open_store``) the chunks of a target that is not published belong to
    the draft; its intermediates go where this is the host that has them. A store cannot tell whether a run is at work:
    see that none is. Of a run to an icechunk repository only intermediates can be left, on the local disk.

    >>> discard("/tmp/no-such.zarr")
    Traceback (most recent call last):
    zarrmill.errors.NotFoundError: there is no draft of /tmp/no-such.zarr. There is nothing to discard.
    """
    draft = _local_draft(target)
    if draft is None:
        options = options_for("target", storage_options)
        return _discard_in_store(keys_of(target, options, read_only=False), options)
    if not draft.exists():
        others = [str(other.target) for other in find_drafts(draft.target)]
        hint = f"There are drafts of {', '.join(others)}." if others else "There is nothing to discard."
        raise NotFoundError(f"there is no draft of {draft.target}. {hint}")
    folders = [draft.folder, *(folder for folder in draft.scratch_folders() if folder.exists())]
    nbytes = draft.remove()
    return DiscardReport(tuple(map(str, folders)), nbytes)


def _local_draft(target: Any) -> Draft | None:
    """Return the draft on the local disk that a target has, there or not; None where it would be in a store."""
    if is_icechunk(target):
        return Draft(place_to_write(target).draft_path(STORE_SCRATCH))
    path = local_folder(target)
    return None if path is None else Draft(path)


def _discard_in_store(keys: KeySpace, options: Mapping[str, Any] | None) -> DiscardReport:
    if keys.read_only:
        raise InvalidInputError(f"{keys.location} can only be read, so there is no draft of it.")
    check_answered(keys, options)
    draft = StoreDraft(keys)
    if next(keys.list(FOLDER), None) is None:
        raise NotFoundError(f"there is no draft of {keys.location}. There is nothing to discard.")
    if keys.head(MOVING) is not None:
        raise ResumeError(
            f"{keys.location} holds old keys beside new ones: an update was stopped while it put its keys in place. "
            f"The same command completes it."
        )
    noted = [Path(name) for name in draft.scratch_folders()]
    folders = [path for path in noted if path.name == scratch_name(keys.location) and path.is_dir()]
    removed = [join(keys.location, FOLDER) if draft.is_published() else keys.location, *map(str, folders)]
    nbytes = sum(map(tree_nbytes, folders)) + draft.remove()
    for folder in folders:
        remove_tree(folder)
    return DiscardReport(tuple(removed), nbytes)
