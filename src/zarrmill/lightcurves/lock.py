"""One at a time may change the object layout, the objects or an epoch that is folded: a lock that a crash releases.

On a local disk the system holds it, and lets go of it when the process ends. On an object store it is a key that is
created conditionally and carries a number; its holder gives signs of life, and who takes over from a dead holder
creates the next number, which only one can.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from types import TracebackType
from typing import Any

from zarrmill.errors import LockedError
from zarrmill.journal import boot_id
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys

HIDDEN = "epochs/digest"
"""Folder of an array, in which readers of Zarr ask for chunks alone: other keys there disturb nobody."""
HOLDER = f"{HIDDEN}/holder"
"""Key that says who had the lock last, on a local disk."""
FOLDER = f"{HIDDEN}/locks"
"""Folder of the keys of the lock on an object store."""
BEAT_SECONDS = 30.0
"""Seconds between two signs of life."""
DEAD_SECONDS = 300.0
"""Seconds without a sign of life after which a holder counts as dead; clocks may differ by most of that."""
RETRY_SECONDS = 0.1
"""Seconds between two tries."""


class Lock:
    """The right to change a store, as a context; taking it raises LockedError when it is somebody else's."""

    def __init__(self, keys: KeySpace, *, wait: float = 0.0) -> None:
        self._keys = keys
        self._wait = wait
        self._held: _LocalLock | _RemoteLock = _LocalLock(keys) if isinstance(keys, LocalKeys) else _RemoteLock(keys)

    def __enter__(self) -> Lock:
        until = time.monotonic() + self._wait
        while (holder := self._held.take()) is not None:
            if time.monotonic() >= until:
                raise LockedError(
                    f"{self._keys.location} is being changed by {holder}. Wait for that to end, then try again."
                )
            time.sleep(RETRY_SECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._held.release()

    def check(self) -> None:
        """Raise LockedError when somebody else has taken the lock over, because this process seemed dead."""
        if not self._held.is_held():
            raise LockedError(
                f"{self._keys.location}: the lock was lost, because this process gave no sign of life for "
                f"{DEAD_SECONDS:.0f} s. Nothing was recorded; run again."
            )


class _LocalLock:
    def __init__(self, keys: LocalKeys) -> None:
        self._keys = keys
        self._fd: int | None = None

    def take(self) -> str | None:
        """Take the lock, which is on the directory itself, and return None, or return who has it."""
        self._keys.path.mkdir(parents=True, exist_ok=True)
        fd = os.open(self._keys.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return _say_holder(self._keys.get(HOLDER) or b"")
        self._fd = fd
        self._keys.put(HOLDER, _identity())
        return None

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def is_held(self) -> bool:
        return self._fd is not None


class _RemoteLock:
    def __init__(self, keys: KeySpace) -> None:
        self._keys = keys.below(FOLDER)
        self._name = ""
        self._body = b""
        self._ended = threading.Event()

    def take(self) -> str | None:
        """Take the lock and return None, or return who has it."""
        others = self._numbers()
        if others and (holder := self._alive(max(others), others[max(others)])) is not None:
            return holder
        number = max(others, default=0) + 1
        self._name, self._body = f"{number:08d}", _identity()
        if not self._keys.create(self._name, self._body):
            return _say_holder(self._keys.get(self._name) or b"")
        # Who was slow may have made a number long after somebody else began anew from 1.
        later = {n: since for n, since in self._numbers().items() if n != number and n not in others}
        if later:
            self._keys.delete([self._name])
            return "another process"
        self._keys.delete([f"{n:08d}{end}" for n in others for end in ("", ".beat")])
        self._ended.clear()
        threading.Thread(target=self._beat, daemon=True, name="zarrmill-lock").start()
        return None

    def release(self) -> None:
        self._ended.set()
        if self._name and self.is_held():
            self._keys.delete([self._name, f"{self._name}.beat"])
        self._name = ""

    def is_held(self) -> bool:
        return bool(self._name) and bytes(self._keys.get(self._name) or b"") == self._body

    def _numbers(self) -> dict[int, int | None]:
        """Return when the last sign of life was given, by number of the lock."""
        found: dict[str, list[int | None]] = {}
        for info in self._keys.list():
            found.setdefault(info.key.partition(".")[0], []).append(info.modified_ns)
            if info.key.endswith(".beat"):
                continue
            found[info.key].append(None)
        return {int(name): _latest(times) for name, times in found.items() if None in times}

    def _alive(self, number: int, beat_ns: int | None) -> str | None:
        """Return who holds a lock, None for a holder that is dead."""
        body = bytes(self._keys.get(f"{number:08d}") or b"")
        if not body or _is_dead(body):
            return None
        if beat_ns is not None and time.time() - beat_ns / 1e9 > DEAD_SECONDS:
            return None
        return _say_holder(body)

    def _beat(self) -> None:
        name = self._name
        while not self._ended.wait(BEAT_SECONDS):
            # One that fails is made up for by the next.
            with contextlib.suppress(Exception):
                self._keys.put(f"{name}.beat", self._body)


def _latest(times: list[int | None]) -> int | None:
    known = [t for t in times if t is not None]
    return max(known) if known else None


def _identity() -> bytes:
    said = {"host": socket.gethostname(), "pid": os.getpid(), "boot": boot_id(), "since": time.time()}
    return json.dumps({**said, "token": secrets.token_hex(8)}).encode()


def _read_identity(body: Any) -> dict[str, Any]:
    try:
        said = json.loads(bytes(body))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _say_holder(body: Any) -> str:
    said = _read_identity(body)
    if "pid" not in said:
        return "another process"
    return f"process {said['pid']} of {said['host']} since {time.strftime('%H:%M:%S', time.localtime(said['since']))}"


def _is_dead(body: bytes) -> bool:
    """Tell whether the holder was a process of this machine that is gone."""
    said = _read_identity(body)
    if said.get("host") != socket.gethostname() or not said.get("boot"):
        return False
    if said["boot"] != boot_id():
        return True
    try:
        os.kill(int(said["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
