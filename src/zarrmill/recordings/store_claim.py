"""The claim on a place in an object store while a small store is put there: two runs never mix their keys.

A claim tells what is being written (a digest of its chunks) and by whom. Whoever writes the very same may go on after
another was killed, for every key has the same bytes then. Anybody else waits until the one who claimed is known to be
dead, or has taken far longer than a burst of requests does.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zarrmill.draft import FORMAT
from zarrmill.errors import LockedError, ResumeError, ZarrmillError
from zarrmill.keyspace import KeySpace
from zarrmill.store_draft import CLAIM, document_of

LEASE_SECONDS = 600.0
"""Age of a claim of another host after which nobody is taken to be at work: tables take seconds to put."""
_BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextmanager
def claimed(keys: KeySpace, digest: str) -> Iterator[bool]:
    """Hold a place while its keys are put, and tell whether somebody else's claim was taken over.

    The claim goes when all is done. After a failure it stays, for keys of an unfinished store are there then, but holds
    nobody back.
    Raises LockedError while another run writes something else there.
    """
    document = {
        "format": FORMAT,
        "token": secrets.token_hex(8),
        "time_ns": time.time_ns(),
        "overwrite": True,
        "plan": {"kind": "dataset", "digest": digest},
        "source": _here(),
    }
    data = json.dumps(document).encode()
    taken_over = not keys.create(CLAIM, data)
    if taken_over:
        _check_free(keys, digest)
        keys.put(CLAIM, data)
    try:
        yield taken_over
    except BaseException:
        # Whoever comes next need not wait, and is told that something unfinished lies there.
        with suppress(ZarrmillError):
            keys.put(CLAIM, json.dumps({**document, "time_ns": 0}).encode())
        raise
    keys.delete([CLAIM])


def _check_free(keys: KeySpace, digest: str) -> None:
    """Raise LockedError where somebody else is at work."""
    found = document_of(keys.get(CLAIM) or b"")
    if found is None:
        return
    plan, holder = found.get("plan", {}), found.get("source", {})
    if plan.get("kind") != "dataset":
        raise ResumeError(f"{keys.location} is held by a run of another kind. Remove its draft (zarrmill discard).")
    age = (time.time_ns() - int(found.get("time_ns", 0))) / 1e9
    if plan.get("digest") == digest or _is_dead(holder) or age > LEASE_SECONDS:
        return
    raise LockedError(
        f"{keys.location}: another run has been writing there for {age:.0f} s. Wait for it to end; after "
        f"{LEASE_SECONDS:.0f} s it is taken to be dead."
    )


def _here() -> dict[str, Any]:
    """Return what tells this process from all others, as far as that can be asked for."""
    return {"host": socket.gethostname(), "boot": _boot(), "pid": os.getpid(), "started": _started(os.getpid())}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Tell whether a process of this host is gone; of another host nobody knows."""
    here = _here()
    if not here["boot"] or holder.get("host") != here["host"]:
        return False
    return holder.get("boot") != here["boot"] or holder.get("started") != _started(int(holder.get("pid", 0)))


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when a process began, empty where there is none: numbers of processes are used again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
