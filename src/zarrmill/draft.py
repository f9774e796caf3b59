"""A draft: everything of a run that is not visible yet, in one hidden folder beside the target.

    .NAME.zarrmill/claim.json     whose draft it is: the plan, and what identifies the source
                  /journal.jsonl  the finished blocks
                  /data/          the target's keys, without a zarr.json until all are there
                  /scratch/       intermediates, unless another folder is given for them
                  /scratch.json   where they lie

It never looks like a store, and nobody but its own run touches it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zarrmill.errors import InvalidInputError, ResumeError

SUFFIX = ".zarrmill"
STORE_FOLDER = ".zarrmill"
"""Folder below a target in a store that holds its draft."""
STORE_CLAIM = f"{STORE_FOLDER}/claim.json"
"""Key that a run has there until all of the target is there."""
SHARED_SECONDS = 30.0
"""Patience with another run that claims a draft which both will share."""
FORMAT = 1
_FOLLOWS = re.compile(r"(^|\.)(domain|passes|chunks_read|documents|notes)\b")
"""Fields of a plan that follow from the request and the source."""
SCRATCH_RECORD = "scratch.json"
"""File of a draft that lists the folder of its intermediates."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose draft it is."""

    plan: dict[str, Any]
    """The plan as JSON."""
    source: dict[str, Any]
    """What identifies the source as it was: see ``source_identity``."""

    def differences(self, other: Claim) -> list[str]:
        """Return what another claim has otherwise, one text each, "before -> now".

        What only follows from other differences is left out.
        """
        # What identifies the source says more than its location, which is all that the plan has of it.
        found = list(_differences({**self.plan, "source": self.source}, {**other.plan, "source": other.source}))
        return [text for text in found if not _FOLLOWS.search(text.split(": ")[0])] or found


class Draft:
    """The draft of a target, on the local disk."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = target.parent / f".{target.name}{SUFFIX}"
        self.data = self.folder / "data"
        self.journal = self.folder / "journal.jsonl"
        self.old = self.folder / "old"
        self._lock: int | None = None

    @property
    def claim_path(self) -> Path:
        """File of the claim."""
        return self.folder / "claim.json"

    @property
    def default_scratch(self) -> Path:
        """Folder of the intermediates unless another is given."""
        return self.folder / "scratch"

    def exists(self) -> bool:
        """Tell whether there is a draft."""
        return self.folder.exists()

    def read_claim(self) -> tuple[Claim, int] | None:
        """Return the claim and when it was made (nanoseconds of the file system's clock), None without a whole one.

        A run that is killed after it has published leaves a claim, but in the place of its data nothing, or the target
        that was there before: that is nobody's draft.
        """
        try:
            data = json.loads(self.claim_path.read_text(encoding="utf-8"))
            if self.data.stat().st_ino != data["data"]:
                return None
            return Claim(data["plan"], data["source"]), self.claim_path.stat().st_mtime_ns
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def claim(self, claim: Claim, *, resume: bool, shared: bool = False) -> tuple[bool, int]:
        """Take the draft for a run; return whether it continues an earlier one, and when that was claimed.

        ``shared`` leaves it open to other runs that share it. Raises ResumeError when another run holds it, or when it
        is the draft of another request and ``resume`` is set.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_lock(shared=shared)
        found = self.read_claim()
        if found is not None and resume:
            changes = found[0].differences(claim)
            if changes:
                raise ResumeError(
                    f"{self.folder} is the draft of another request: {'; '.join(changes[:5])}. Repeat that request, "
                    f"or remove the draft (zarrmill discard {self.target}), or start again (--no-resume)."
                )
            return True, found[1]
        self.empty()
        self.data.mkdir()
        inode = self.data.stat().st_ino
        text = json.dumps({"format": FORMAT, "data": inode, "plan": claim.plan, "source": claim.source})
        temporary = self.folder / "claim.tmp"
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, self.claim_path)
        if shared and self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_SH)
        return False, self.claim_path.stat().st_mtime_ns

    def _take_lock(self, *, shared: bool = False) -> None:
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        patience = time.monotonic() + (SHARED_SECONDS if shared else 0.0)
        while not self._try_lock(fd, shared=shared):
            if time.monotonic() >= patience:
                os.close(fd)
                raise ResumeError(
                    f"another run is writing {self.target} (its draft {self.folder} is locked). Wait for it to end."
                )
            time.sleep(0.05)
        self._lock = fd
        # A run was killed between the two renames that stand in for an exchange.
        if self.old.exists() and not os.path.lexists(self.target):
            os.rename(self.old, self.target)

    def _try_lock(self, fd: int, *, shared: bool) -> bool:
        """Take the lock if it is free; who shares a draft that is not claimed yet needs it alone for a moment."""
        kind = fcntl.LOCK_SH if shared and self.read_claim() is not None else fcntl.LOCK_EX
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def release(self) -> None:
        """Let other runs have the draft."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def empty(self) -> None:
        """Remove all but the lock: first the claim, without which the rest is nobody's, and intermediates elsewhere."""
        remove_tree(self.claim_path)
        for folder in self.scratch_folders():
            remove_tree(folder)
        for path in self.folder.iterdir():
            if path.name != "lock":
                remove_tree(path)

    def scratch_in(self, folder: Path) -> Path:
        """Return the scratch folder of this draft in a folder where those of targets of the same name may lie too."""
        place = hashlib.blake2b(os.fsencode(self.target), digest_size=4).hexdigest()
        return folder / f"{self._stem}-{place}"

    def use_scratch(self, folder: Path, *, shared: bool = False) -> None:
        """Note where the intermediates lie, for those who clean up; remove what an earlier run had elsewhere.

        Of runs that share the draft only the first does so. Raises InvalidInputError where it has said another folder.
        """
        if shared and (noted := read_note(self.folder / SCRATCH_RECORD)):
            check_same_scratch(str(folder), noted, target=str(self.target))
            return
        for other in {*self.scratch_folders(), self.default_scratch} - {folder}:
            remove_tree(other)
        temporary = self.folder / f"scratch-{uuid.uuid4().hex}.tmp"
        temporary.write_text(json.dumps([str(folder)]), encoding="utf-8")
        os.replace(temporary, self.folder / SCRATCH_RECORD)

    def scratch_folders(self) -> list[Path]:
        """Return the noted scratch folders that lie elsewhere.

        Only those that carry the draft's name count, whatever the note says: what is returned here gets removed.
        """
        paths = map(Path, read_note(self.folder / SCRATCH_RECORD))
        return [path for path in paths if path.is_absolute() and path.name.startswith(f"{self._stem}-")]

    @property
    def _stem(self) -> str:
        return self.folder.name[1:]

    def remove(self) -> int:
        """Remove the draft; return the bytes that it took. Raises ResumeError while a run holds it."""
        if not self.exists():
            return 0
        if self._lock is None:
            self._take_lock()
        nbytes = sum(map(tree_nbytes, (self.folder, *self.scratch_folders())))
        self.empty()
        remove_tree(self.folder)
        self.release()
        return nbytes


def find_drafts(location: Path) -> list[Draft]:
    """Return the drafts beside a store, its own first, and those of its direct members."""
    folders = sorted(location.parent.glob(f".*{SUFFIX}")) + sorted(location.glob(f".*{SUFFIX}"))
    targets = [f.parent / f.name[1:].removesuffix(SUFFIX) for f in folders if f.is_dir()]
    return sorted((Draft(t) for t in targets), key=lambda d: d.target != location)


def read_note(path: Path) -> list[str]:
    """Return the names in a file that lists some, none for what is no list."""
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [name for name in noted if isinstance(name, str)] if isinstance(noted, list) else []


def check_same_scratch(folder: str, noted: list[str], *, target: str) -> None:
    """Raise InvalidInputError when the intermediates of a draft lie elsewhere than a run that shares it means."""
    if folder not in noted:
        shown = [name or "the target's store" for name in (noted[0], folder)]
        raise InvalidInputError(
            f"the intermediates of {target} lie in {shown[0]}, and this run would have them in {shown[1]}. Give every "
            f"run the same scratch (--scratch)."
        )


def remove_tree(path: Path) -> None:
    """Remove a file or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def tree_nbytes(path: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def _differences(before: Any, now: Any, where: str = "") -> Any:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}, key=str):
            yield from _differences(before.get(key), now.get(key), f"{where}.{key}" if where else str(key))
    elif (
        isinstance(before, list)
        and isinstance(now, list)
        and len(before) == len(now)
        and any(isinstance(value, dict | list) for value in before)
    ):
        for i, (a, b) in enumerate(zip(before, now, strict=True)):
            name = a.get("path", i) if isinstance(a, dict) else i
            yield from _differences(a, b, f"{where}[{name}]")
    elif before != now:
        yield f"{where}: {_short(before)} -> {_short(now)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
