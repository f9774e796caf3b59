"""lightcurves/lock.py: one holder, released by a crash, and no two who believe that they have it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import uuid

import pytest

from zarrmill.errors import LockedError
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys
from zarrmill.lightcurves import lock
from zarrmill.lightcurves.lock import Lock
from zarrmill.store import open_keys


@pytest.fixture(params=["disk", "object store"])
def keys(request, tmp_path) -> KeySpace:
    """Somewhere to lock."""
    return LocalKeys(tmp_path / "a") if request.param == "disk" else open_keys(f"memory://{uuid.uuid4().hex}/a")


@pytest.fixture
def remote() -> KeySpace:
    """An object store."""
    return open_keys(f"memory://{uuid.uuid4().hex}")


def test_second_holder_is_told_who_has_it(keys) -> None:
    """The message names the process; afterwards the lock is free."""
    with Lock(keys), pytest.raises(LockedError, match=r"is being changed by process .* since"), Lock(keys):
        pass
    with Lock(keys) as held:
        held.check()


def test_waiting_for_the_lock(keys) -> None:
    """With ``wait`` the second one gets it when the first lets go."""
    with Lock(keys) as first:
        timer = threading.Timer(0.3, lambda: first.__exit__(None, None, None))
        timer.start()
        begun = time.monotonic()
        with Lock(keys, wait=20.0):
            assert time.monotonic() - begun >= 0.25
        timer.join()


def test_an_error_inside_releases_it(keys) -> None:
    """Whatever ends the work, the lock is free."""
    with pytest.raises(ValueError, match="inside"), Lock(keys):
        raise ValueError("inside")
    with Lock(keys):
        pass


def test_of_many_at_once_one_gets_it(keys) -> None:
    """Threads that begin together never hold it together."""
    inside, most, refused = [0], [0], [0]
    start = threading.Barrier(8)

    def work() -> None:
        start.wait()
        for _ in range(5):
            try:
                with Lock(keys):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.002)
                    inside[0] -= 1
            except LockedError:
                refused[0] += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_a_killed_process_lets_go(tmp_path) -> None:
    """On a disk the system releases the lock of a process that is gone."""
    code = (
        "import sys, time; from zarrmill.keyspace.local import LocalKeys; from zarrmill.lightcurves.lock import Lock\n"
        "with Lock(LocalKeys(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(LockedError, match=f"process {process.pid}"), Lock(LocalKeys(tmp_path)):
        pass
    process.kill()
    process.communicate()
    with Lock(LocalKeys(tmp_path)):
        pass


def test_dead_holder_of_an_object_store_is_relieved(remote, monkeypatch) -> None:
    """A holder of this machine whose process is gone, and one that gave no sign of life for long."""
    said = json.loads(lock._identity())
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    remote.put(f"{lock.FOLDER}/00000001", json.dumps({**said, "pid": gone.pid}).encode())
    with Lock(remote):
        assert [info.key for info in remote.list(lock.FOLDER)] == [f"{lock.FOLDER}/00000002"]
    remote.put(f"{lock.FOLDER}/00000007", json.dumps({**said, "host": "elsewhere"}).encode())
    with pytest.raises(LockedError, match="of elsewhere"), Lock(remote):
        pass
    monkeypatch.setattr(lock, "DEAD_SECONDS", -1.0)
    with Lock(remote) as held:
        held.check()


def test_who_was_taken_over_notices(remote) -> None:
    """A holder that seemed dead finds out before it records anything."""
    with Lock(remote) as slow:
        remote.delete([f"{lock.FOLDER}/00000001"])
        with Lock(remote), pytest.raises(LockedError, match="the lock was lost"):
            slow.check()
        with pytest.raises(LockedError, match="the lock was lost"):
            slow.check()


def test_signs_of_life_are_given(remote, monkeypatch) -> None:
    """While it is held, a key tells of the holder again and again, and it goes with the lock."""
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.01)
    with Lock(remote):
        until = time.monotonic() + 20
        while remote.head(f"{lock.FOLDER}/00000001.beat") is None:
            assert time.monotonic() < until
            time.sleep(0.01)
    assert list(remote.list(lock.FOLDER)) == []
