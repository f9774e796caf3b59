"""A run to S3 that is killed at any moment: no target that opens, nothing lost, the same values, and nothing left.

Runs are processes of their own. Plans are made as if memory were scarce, so that a little data makes many blocks.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import zarr

import zarrmill
from tests.s3.stores import (
    FAST,
    check_array,
    check_no_leftovers,
    check_nothing_opens,
    digest_at,
    keys_of,
    open_at,
)
from tests.servers.client import Proxy
from tests.servers.groups import wait_for_group
from tests.servers.nursery import Child, get_nursery

pytestmark = pytest.mark.slow

VALUES = np.random.default_rng(11).integers(0, 4096, size=(256, 256)).astype("f8")

CHILD = '''
import json, os, signal, sys
import zarrmill, zarrmill.target
import zarrmill.key_journal as journal, zarrmill.plan.arrays as arrays

ORDER = json.loads(sys.argv[1])


def plan_small_blocks():
    """Have a little data make many blocks, in as many passes as are wanted, each of them journaled at once."""
    arrays._small_plan = lambda job, limits: None
    arrays.BLOCK_AIM, arrays.SMALL, journal.FLUSH_BLOCKS = 1, 0, ORDER["flush"]
    chains, candidates = arrays.chains, arrays.one_pass_candidates

    def smallest(*args, **options):
        found = list(candidates(*args, **options))
        least = min((c.tile[0] * c.tile[1] for c in found), default=0)
        return [c for c in found if c.tile[0] * c.tile[1] == least]

    arrays.one_pass_candidates = smallest if ORDER["passes"] == 1 else lambda *args, **options: []
    arrays.chains = lambda *args, limit, **options: (
        c for c in chains(*args, limit=8192, **options) if len(c.tiles) == ORDER["passes"] > 1
    )


def watch(counts={}):
    """Return a progress client that kills this process at the n-th message of a kind."""
    def progress(message):
        name = type(message).__name__ + (":" + message.name if hasattr(message, "name") else "")
        counts[name] = counts.get(name, 0) + 1
        if [name, counts[name]] == ORDER["at"]:
            os.kill(os.getpid(), signal.SIGKILL)
    return progress


def main():
    plan_small_blocks()
    zarrmill.target.STORE_SCRATCH = zarrmill.target.Path(ORDER["scratch"])
    report = zarrmill.rechunk(ORDER["source"], ORDER["target"], sync=False, storage_options=ORDER["storage"],
                              progress=watch(), **ORDER["options"])
    print(json.dumps(report.to_json()))


if __name__ == "__main__":
    main()
'''


@dataclass(frozen=True)
class Mode:
    """A way through the engine, with some blocks in each pass."""

    name: str
    options: dict[str, Any]
    passes: int = 1
    to_s3: bool = True


SHARDED = {"chunks": [8, 256], "shards": [16, 256], "workers": 2}
SHARDS = Mode("shards", SHARDED)
CHUNKS = Mode("chunks", {**SHARDED, "shards": None, "verify": "written"})
TWO_PASSES = Mode("two-passes", SHARDED, passes=2)
OVERWRITE = Mode("overwrite", {**SHARDED, "overwrite": True})
PROCESSES = Mode("processes", {**SHARDED, "executor": "processes"})
FROM_S3 = Mode("from-s3", SHARDED, to_s3=False)
MODES = [SHARDS, CHUNKS, TWO_PASSES, OVERWRITE, PROCESSES, FROM_S3]
each_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)


@dataclass
class Place:
    """A bucket and a folder with the same source, in which targets are made."""

    bucket: str
    folder: Path
    proxy: Proxy
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def storage(self) -> dict[str, Any]:
        return self.proxy.server.storage_options

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def source(self, mode: Mode) -> str:
        return str(self.folder / "source.zarr") if mode.to_s3 else f"{self.bucket}/source.zarr"

    def target(self, mode: Mode, name: str) -> str:
        return f"{self.bucket}/{name}.zarr" if mode.to_s3 else str(self.folder / "targets" / f"{name}.zarr")

    def start(self, mode: Mode, target: str, **order: Any) -> Child:
        """Start a run in a process group of its own."""
        told = {
            "at": None, "flush": 1, "passes": mode.passes, "source": self.source(mode), "target": target,
            "scratch": str(self.scratch), "storage": {**self.storage, **FAST}, "options": mode.options,
        }  # fmt: skip
        return get_nursery().start([str(self.folder / "child.py"), json.dumps(told | order)])

    def finish(self, mode: Mode, target: str) -> dict[str, Any]:
        """Run to the end; return the report."""
        child = self.start(mode, target)
        out, err = child.communicate()
        assert child.returncode == 0, err
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found

    def kill_at(self, mode: Mode, target: str, kind: str, number: int) -> None:
        """Run until the run kills itself at a message."""
        child = self.start(mode, target, at=[kind, number])
        _, err = child.communicate()
        assert child.returncode == -signal.SIGKILL, err
        wait_for_group(child.pid)

    def check_hidden(self, mode: Mode, target: str) -> None:
        if mode.to_s3:
            check_nothing_opens(target, self.storage)
        else:
            assert not Path(target).exists()

    def is_visible(self, mode: Mode, target: str) -> bool:
        return "zarr.json" in keys_of(target, self.storage) if mode.to_s3 else Path(target).exists()

    def check_whole(self, mode: Mode, target: str) -> None:
        """The target has the values of the source, and as many keys as it needs."""
        if mode.to_s3:
            check_array(target, self.storage, VALUES)
            assert digest_at(target, self.storage) == zarrmill.digest(self.folder / "source.zarr")
            keys = [key for key in keys_of(target, self.storage) if ".zarrmill" not in key]
            assert len(keys) == 1 + (32 if mode is CHUNKS else 16)
        else:
            np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)

    def check_no_leftovers(self, mode: Mode, target: str) -> None:
        """No key of zarrmill's, no intermediate, no upload that was never completed, and no draft beside a target."""
        if mode.to_s3:
            check_no_leftovers(target, self.storage)
        else:
            assert os.listdir(Path(target).parent) == [Path(target).name]
        assert os.listdir(self.scratch) == []
        assert uploads_of(self) == 0


def uploads_of(place: Place) -> int:
    """Return the uploads in parts that were begun and never completed."""
    connection = http.client.HTTPConnection(urlsplit(place.proxy.server.endpoint).netloc, timeout=30)
    try:
        connection.request("GET", f"/{place.bucket.removeprefix('s3://')}?uploads")
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    assert answer.status == 200, text
    assert "ListMultipartUploadsResult" in text
    return len(re.findall("<UploadId>", text))


@pytest.fixture
def place(tmp_path: Path, s3_bucket: str, proxy: Proxy) -> Place:
    if not proxy.server.is_moto:
        pytest.skip("uploads are asked for without a signature")
    place = Place(s3_bucket, tmp_path, proxy)
    for store in (tmp_path / "source.zarr", open_at(f"{s3_bucket}/source.zarr", place.storage)):
        zarr.create_array(store, shape=VALUES.shape, dtype="f8", chunks=(256, 8))[:] = VALUES
    (tmp_path / "child.py").write_text(CHILD)
    place.scratch.mkdir()
    return place


@pytest.fixture
def targets(place: Place) -> Path:
    (place.folder / "targets").mkdir()
    return place.folder / "targets"


def write_old(place: Place, mode: Mode, target: str) -> None:
    """Write what an overwriting run replaces."""
    if mode is OVERWRITE:
        array = zarr.create_array(open_at(target, place.storage), shape=(256, 256), chunks=(16, 256), dtype="f8")
        array[:] = -1


@pytest.mark.parametrize("mode", [SHARDS, CHUNKS, TWO_PASSES, FROM_S3], ids=lambda mode: mode.name)
@pytest.mark.usefixtures("targets")
def test_kill_after_a_block(place: Place, mode: Mode) -> None:
    """After a kill nothing opens; the same call continues after the finished blocks."""
    target = place.target(mode, "target")
    place.kill_at(mode, target, "BlockFinished", 3)
    place.check_hidden(mode, target)
    report = place.finish(mode, target)
    assert report["arrays"][0]["passes"] == mode.passes
    assert report["resumed_blocks"] == 3
    place.check_whole(mode, target)
    place.check_no_leftovers(mode, target)


@pytest.mark.parametrize("step", ["check", "publish"])
def test_kill_before_publishing(place: Place, step: str) -> None:
    """With every block done the next run only checks and publishes."""
    target = place.target(SHARDS, "target")
    place.kill_at(SHARDS, target, f"StepStarted:{step}", 1)
    place.check_hidden(SHARDS, target)
    report = place.finish(SHARDS, target)
    assert report["resumed_blocks"] == report["blocks"] == 16
    place.check_whole(SHARDS, target)
    place.check_no_leftovers(SHARDS, target)


def kill_at_random(place: Place, mode: Mode, *, kills: int, seed: int) -> None:
    """Kill runs after random delays, from their start to a little after their end, and finish each target in turn."""
    chance, number, done = random.Random(seed), 0, 0
    began = time.monotonic()
    place.finish(mode, place.target(mode, "timed"))
    longest = 1.1 * (time.monotonic() - began)
    if not mode.to_s3:
        zarr_folder = Path(place.target(mode, "timed"))
        os.rename(zarr_folder, place.folder / "timed.zarr")
    while done < kills:
        number += 1
        target = place.target(mode, f"target-{number}")
        write_old(place, mode, target)
        while done < kills:
            child = place.start(mode, target)
            time.sleep(chance.uniform(0.1, 1) * longest)
            child.kill()
            _, err = child.communicate()
            wait_for_group(child.pid)
            assert child.returncode in (0, -signal.SIGKILL), err
            done += 1
            if check_after_kill(place, mode, target) or done % 5 == 0:
                break
        finish_after_kills(place, mode, target)


def check_after_kill(place: Place, mode: Mode, target: str) -> bool:
    """Whatever opens after a kill is whole, the old one or the new; return whether it is the new one."""
    if not place.is_visible(mode, target):
        return False
    if mode is OVERWRITE and (zarr.open_array(open_at(target, place.storage), mode="r")[:] == -1).all():
        return False
    place.check_whole(mode, target)
    return True


def finish_after_kills(place: Place, mode: Mode, target: str) -> None:
    """The same call completes; where the kill came after the end, it says that the target is there."""
    if mode is not OVERWRITE and place.is_visible(mode, target):
        # What is left of the draft goes with another run that replaces it.
        child = place.start(mode, target)
        _, err = child.communicate()
        assert "AlreadyExistsError" in err
        mode = Mode(mode.name, {**mode.options, "overwrite": True, "resume": False}, mode.passes, mode.to_s3)
        place.finish(mode, target)
    else:
        place.finish(mode, target)
        place.check_whole(mode, target)
    place.check_no_leftovers(mode, target)
    if not mode.to_s3:
        os.rename(target, f"{place.folder}/done-{Path(target).name}")


@pytest.mark.parametrize("mode", [SHARDS, OVERWRITE], ids=lambda mode: mode.name)
@pytest.mark.usefixtures("targets")
def test_kills_at_random_moments(place: Place, mode: Mode) -> None:
    """Five kills at moments of any kind: while reading, writing, publishing."""
    kill_at_random(place, mode, kills=5, seed=MODES.index(mode))


@pytest.mark.soak
@each_mode
@pytest.mark.usefixtures("targets")
def test_fifty_kills_at_random_moments(place: Place, mode: Mode) -> None:
    """The same with fifty kills, in every mode."""
    kill_at_random(place, mode, kills=50, seed=100 + MODES.index(mode))
