"""A draft in a store: its chunks lie where readers will find them, but nothing opens, because no metadata is there yet.

.zarrmill/claim.json    whose draft it is; created only where there is none, before any other key
.zarrmill/journal/      the finished blocks
.zarrmill/scratch/      intermediates that several hosts share
.zarrmill/scratch.json  where the intermediates lie otherwise, on the host that runs it
.zarrmill/cleared       a target that is replaced is gone
flux/c/0/0 ...          the target's chunks
zarr.json               the last key of all; then .zarrmill goes
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zarrmill.draft import FORMAT, SHARED_SECONDS, STORE_CLAIM, STORE_FOLDER, Claim, check_same_scratch
from zarrmill.errors import AlreadyExistsError, ResumeError, SourceFormatError
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import KeySpace

FOLDER, CLAIM = STORE_FOLDER, STORE_CLAIM
JOURNAL = f"{FOLDER}/journal"
SCRATCH = f"{FOLDER}/scratch"
SCRATCH_RECORD = f"{FOLDER}/scratch.json"
CLEARED = f"{FOLDER}/cleared"
MOVING = f"{FOLDER}/moving"
"""An update is copying keys to their place, see ``update_target``."""
ROOT_METADATA = ("zarr.json", ".zgroup", ".zarray", ".zmetadata", ".zattrs")
"""Keys that make the root a node, or tell of it: the first to go when a store is replaced."""
ASKED_AT_ONCE = 1000
"""Keys whose sizes are asked for, by a few threads, before they are told."""
LOOK_SECONDS = 1.0
"""Time between two looks at what another run removes."""
STORE_SCRATCH = Path("/var/tmp")
"""Where intermediates go whose target is in a store, unless a folder is given: on disk, and kept over a restart."""


class StoreDraft:
    """The draft of a target in a store."""

    def __init__(self, keys: KeySpace) -> None:
        self.keys = keys

    @property
    def location(self) -> str:
        """The target."""
        return self.keys.location

    def exists(self) -> bool:
        """Tell whether there is a draft, or what one has left."""
        return self.keys.head(CLAIM) is not None

    def is_published(self) -> bool:
        """Tell whether there is a node at the target."""
        return any(name in ROOT_METADATA[:3] for name in self.keys.list_dir()[1])

    def check_free(self, *, overwrite: bool) -> None:
        """Raise AlreadyExistsError where something that is no draft lies at the target."""
        folders, names = self.keys.list_dir()
        there = [name for name in (*names, *folders) if name != FOLDER]
        published = any(name in ROOT_METADATA[:3] for name in names)
        if overwrite or not there or (not published and FOLDER in folders):
            return
        what = "exists" if published else f"holds keys already ({', '.join(sorted(there)[:3])})"
        raise AlreadyExistsError(f"{self.location} {what}. Choose another target, or say overwrite (--overwrite).")

    def read_claim(self) -> tuple[Claim, int] | None:
        """Return the claim and when it was made (nanoseconds of the claiming host's clock), None without one."""
        data = self.keys.get(CLAIM)
        if data is None:
            return None
        try:
            found = json.loads(bytes(data))
            return Claim(found["plan"], found["source"]), int(found["time_ns"])
        except (ValueError, KeyError, TypeError) as error:
            raise SourceFormatError(
                f"{self.location}/{CLAIM} is no claim of this version. Remove the draft (zarrmill discard)."
            ) from error

    def claim(
        self,
        claim: Claim,
        *,
        resume: bool,
        overwrite: bool,
        shared: bool = False,
        hide: Callable[[], None] = lambda: None,
    ) -> tuple[bool, int]:
        """Take the target for a run; return whether it continues an earlier one, and when that was claimed.

        Nothing else is written before; ``hide`` is called before an old target goes, to which one ``shared`` run sees.
        Raises ResumeError when another request holds it, AlreadyExistsError when it has just been published.
        """
        data, now, token = claim_data(claim, overwrite=overwrite)
        if not self._create(data, token):
            since = self._continue(claim, overwrite, hide, shared=shared) if resume else None
            if since is not None:
                return True, since
            self.remove()
            if not self._create(data, token):
                raise ResumeError(f"another run has just claimed {self.location}. Wait for it to end, or stop it.")
        self._begin(overwrite, hide)
        return False, now

    def _create(self, data: bytes, token: str) -> bool:
        """Create the claim; return whether it is there. One that was damaged on its way is written again."""
        if not self.keys.create(CLAIM, data):
            return False
        found = self.keys.get(CLAIM)
        document = None if found is None else document_of(found)
        if found is None or (document is not None and document.get("token") != token):
            return False
        if bytes(found) != data:
            self.keys.put(CLAIM, data)
        return True

    def _continue(self, claim: Claim, overwrite: bool, hide: Callable[[], None], *, shared: bool) -> int | None:
        """Return when the run that is continued was claimed, None where a finished run has left its claim."""
        found = self.read_claim()
        if found is None:
            return None
        # Only a draft that was claimed to replace what was there may have chunks from before to be removed.
        replaces = (document_of(self.keys.get(CLAIM) or b"") or {}).get("overwrite")
        cleared = not replaces or self.keys.head(CLEARED) is not None
        if overwrite and cleared and self.is_published():
            return None
        changes = found[0].differences(claim)
        if changes:
            raise ResumeError(
                f"{self.location} is held by a run of another request: {'; '.join(changes[:5])}. Repeat that "
                f"request, or remove its draft (zarrmill discard {self.location}), or start again (--no-resume)."
            )
        if not cleared and not (shared and see_cleared(self.keys)):
            self._clear(hide)
        return found[1]

    def _begin(self, overwrite: bool, hide: Callable[[], None]) -> None:
        """Remove what runs without a claim may have left, and an old target."""
        self.keys.delete(info.key for info in self.keys.list(FOLDER) if info.key != CLAIM)
        if overwrite:
            self._clear(hide)
        elif self.is_published():
            # Another run has published, and given its claim back, since this one looked.
            self.keys.delete([CLAIM])
            raise AlreadyExistsError(
                f"{self.location} has just been made by another run. Choose another target, or say overwrite "
                f"(--overwrite)."
            )

    def _clear(self, hide: Callable[[], None]) -> None:
        """Remove an old target, the keys that make it a node first: from then on nothing opens."""
        hide()
        names = self.keys.list_dir()[1]
        self.keys.delete(name for name in ROOT_METADATA if name in names)
        self.keys.delete(all_but_draft(self.keys))
        self.keys.put(CLEARED, b"")

    def note_scratch(self, folder: str) -> None:
        """Note where the intermediates lie, for those who clean up on this host; "" for below the target."""
        self.keys.put(SCRATCH_RECORD, json.dumps([folder]).encode())

    def scratch_folders(self) -> list[str]:
        """Return the noted folders of intermediates."""
        data = self.keys.get(SCRATCH_RECORD)
        try:
            noted = [] if data is None else json.loads(bytes(data))
        except ValueError:
            noted = []
        return [name for name in noted if isinstance(name, str)] if isinstance(noted, list) else []

    def tidy(self) -> None:
        """Remove what belongs to the draft alone, the claim last."""
        self.keys.delete(info.key for info in self.keys.list(FOLDER) if info.key != CLAIM)
        self.keys.delete([CLAIM])

    def remove(self) -> int:
        """Remove the draft, its chunks too unless something is published; return the bytes that it took."""
        published, nbytes = self.is_published(), 0
        doomed: list[str] = []
        for info in self.keys.list(FOLDER if published else ""):
            nbytes += info.nbytes or 0
            if info.key != CLAIM:
                doomed.append(info.key)
        self.keys.delete(doomed)
        self.keys.delete([CLAIM])
        return nbytes


def see_cleared(keys: KeySpace) -> bool:
    """Wait as long as another run removes the old target; return whether it did, and has not come to a standstill.

    Two that remove it would take away what one of them has written in the meantime.
    """
    left, patience = "", 0.0
    while keys.head(CLEARED) is None:
        first = next(all_but_draft(keys), "")
        if not patience or first != left:
            left, patience = first, time.monotonic() + SHARED_SECONDS
        elif time.monotonic() >= patience:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def all_but_draft(keys: KeySpace) -> Iterator[str]:
    """Yield the keys of the target itself."""
    return (info.key for info in keys.list() if not info.key.startswith(f"{FOLDER}/"))


def share_scratch(draft: StoreDraft, folder: str) -> None:
    """Note where runs that share a draft have intermediates; raises InvalidInputError where one has said otherwise."""
    if noted := draft.scratch_folders():
        check_same_scratch(folder, noted, target=draft.location)
    else:
        draft.note_scratch(folder)


def claim_data(claim: Claim, *, overwrite: bool = False) -> tuple[bytes, int, str]:
    """Return a claim as it is stored, when that is (by this host's clock), and what tells it from all others."""
    now, token = time.time_ns(), uuid.uuid4().hex
    text = {"format": FORMAT, "token": token, "time_ns": now, "overwrite": overwrite}
    return json.dumps({**text, "plan": claim.plan, "source": claim.source}).encode(), now, token


def scratch_name(location: str) -> str:
    """Return the name of the folder of a target's intermediates: the same for the same target, and for no other."""
    place = hashlib.blake2b(location.encode(), digest_size=4).hexdigest()
    return f"{location.rstrip('/').rpartition('/')[2]}.zarrmill-{place}"


def listed_sizes(keys: KeySpace, path: str) -> Callable[[str], int | None]:
    """Return the size of each key of an array, as one listing shows them."""
    return dict(listed_keys(keys, path)).get


def listed_keys(keys: KeySpace, path: str) -> Iterator[tuple[str, int]]:
    """Yield the keys of an array with their sizes; where listings have none, each is asked for, some at once."""
    array = keys.below(path) if path else keys
    unsized: list[str] = []
    for info in array.list():
        if info.key.startswith(f"{FOLDER}/"):
            continue
        if info.nbytes is not None:
            yield info.key, info.nbytes
            continue
        unsized.append(info.key)
        if len(unsized) == ASKED_AT_ONCE:
            yield from _measured(array, unsized)
            unsized.clear()
    yield from _measured(array, unsized)


def _measured(keys: KeySpace, names: list[str]) -> Iterator[tuple[str, int]]:
    for name, found in zip(names, WORKSHOP.requests().map(keys.head, names), strict=True):
        yield name, (found.nbytes or 0) if found is not None else 0


def document_of(data: Any) -> dict[str, Any] | None:
    """Return the JSON object of a value, None for anything else."""
    try:
        document = json.loads(bytes(data))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
