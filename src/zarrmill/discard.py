"""Removing what a run that nobody resumes has left."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.draft import Draft, find_drafts, remove_tree
from zarrmill.errors import InvalidInputError, NotFoundError, ResumeError
from zarrmill.info import draft_nbytes, is_running, local_path, scratch_folders


@dataclass(frozen=True, slots=True)
class DiscardReport:
    """What was removed."""

    removed: tuple[str, ...]
    """Folders that are gone: the draft, and its scratch folders elsewhere."""
    nbytes: int
    """Bytes that their files had."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def discard(target: Any) -> DiscardReport:
    """Remove the draft of a target with its journal and intermediates; what is published at the target stays.

    Where a run was stopped while it replaced an old target, on a file system that cannot exchange two folders, the
    old one is put back first. Raises NotFoundError where there is no draft, ResumeError while a run holds it.

    >>> discard("/tmp/no-such.zarr")
    Traceback (most recent call last):
    zarrmill.errors.NotFoundError: there is no draft of /tmp/no-such.zarr. There is nothing to discard.
    """
    path = local_path(target)
    if path is None:
        raise InvalidInputError(f"{target} is not on the local disk, so there is no draft of it. Give a local path.")
    draft = Draft(path)
    if not draft.exists():
        others = [str(other.target) for other in find_drafts(path)]
        hint = f"There are drafts of {', '.join(others)}." if others else "There is nothing to discard."
        raise NotFoundError(f"there is no draft of {path}. {hint}")
    if is_running(draft):
        raise ResumeError(f"a run is writing {path} (its draft {draft.folder} is locked). Stop it, or let it end.")
    _restore_old(draft)
    folders, nbytes = scratch_folders(draft), draft_nbytes(draft)
    draft.remove()
    for folder in folders:
        remove_tree(folder)
    return DiscardReport(tuple(map(str, (draft.folder, *folders))), nbytes)


def _restore_old(draft: Draft) -> None:
    """Put back a published target that a run had moved into its draft, to replace it, when it was stopped."""
    old = draft.folder / "old"
    if os.path.lexists(old) and not os.path.lexists(draft.target):
        os.rename(old, draft.target)
