"""Removing what a run that nobody resumes has left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.draft import Draft, find_drafts
from zarrmill.errors import InvalidInputError, NotFoundError
from zarrmill.info import local_folder


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
    path = local_folder(target)
    if path is None:
        raise InvalidInputError(f"{target} is not on the local disk, so there is no draft of it. Give a local path.")
    draft = Draft(path)
    if not draft.exists():
        others = [str(other.target) for other in find_drafts(path)]
        hint = f"There are drafts of {', '.join(others)}." if others else "There is nothing to discard."
        raise NotFoundError(f"there is no draft of {path}. {hint}")
    folders = [draft.folder, *(folder for folder in draft.scratch_folders() if folder.exists())]
    nbytes = draft.remove()
    return DiscardReport(tuple(map(str, folders)), nbytes)
