"""Claims on a place: who may write there."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.recordings.sample_transform import plain
from zarrmill.errors import LockedError, ResumeError
from zarrmill.keyspace import KeySpace
from zarrmill.recordings import store_claim as module
from zarrmill.recordings.store_claim import claimed
from zarrmill.store import open_keys
from zarrmill.store_draft import CLAIM


@pytest.fixture
def keys(request: pytest.FixtureRequest) -> KeySpace:
    return open_keys(f"memory://claim-{plain(request)}/a.zarr")


def leave_claim(keys: KeySpace, *, digest: str = "one", age: float = 0.0, **source) -> None:
    """Leave the claim of another process."""
    holder = {**module._here(), **source}
    document = {"time_ns": time.time_ns() - int(age * 1e9), "plan": {"kind": "dataset", "digest": digest}}
    keys.put(CLAIM, json.dumps({**document, "source": holder}).encode())


def test_a_claim_is_there_while_its_keys_are_put(keys: KeySpace):
    """And goes afterwards."""
    with claimed(keys, "one") as taken_over:
        assert keys.get(CLAIM) is not None
        assert not taken_over

    assert keys.get(CLAIM) is None


def test_somebody_at_work_is_waited_for(keys: KeySpace):
    """A claim of another host, or of a process that lives, holds everybody back who would write something else."""
    leave_claim(keys, digest="other", pid=os.getppid(), started=module._started(os.getppid()))
    with pytest.raises(LockedError, match="another run has been writing"), claimed(keys, "one"):
        pass
    leave_claim(keys, digest="other", host="elsewhere")

    with pytest.raises(LockedError, match="Wait for it"), claimed(keys, "one"):
        pass


def test_the_same_content_goes_on_at_once(keys: KeySpace):
    """Every key would have the same bytes, so nothing can be mixed."""
    leave_claim(keys, digest="one", host="elsewhere")

    with claimed(keys, "one") as taken_over:
        assert taken_over


def test_a_dead_process_holds_nobody_back(keys: KeySpace):
    """Its number may belong to another process by now."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    started = module._started(child.pid)
    child.wait()
    leave_claim(keys, digest="other", pid=child.pid, started=started or "1")

    with claimed(keys, "one") as taken_over:
        assert taken_over


def test_an_old_claim_of_another_host_holds_nobody_back(keys: KeySpace):
    """Nobody takes so long for a burst of requests."""
    leave_claim(keys, digest="other", host="elsewhere", age=module.LEASE_SECONDS + 1)

    with claimed(keys, "one") as taken_over:
        assert taken_over


def test_a_failure_tells_the_next_that_something_unfinished_is_there(keys: KeySpace):
    """But does not hold it back, even though the process that failed lives on."""
    with pytest.raises(ValueError, match="failed"), claimed(keys, "one"):
        raise ValueError("failed")

    with claimed(keys, "two") as taken_over:
        assert taken_over
    assert keys.get(CLAIM) is None


def test_a_draft_of_another_kind_is_left_alone(keys: KeySpace):
    """A run of the rechunk engine that was stopped can still be resumed."""
    keys.put(CLAIM, json.dumps({"plan": {"arrays": []}, "source": {}, "time_ns": 0}).encode())

    with pytest.raises(ResumeError, match="another kind"), claimed(keys, "one"):
        pass


def test_a_claim_that_cannot_be_read_holds_nobody_back(keys: KeySpace):
    """It was torn by whatever stopped its writer."""
    keys.put(CLAIM, b"{")

    with claimed(keys, "one") as taken_over:
        assert taken_over
