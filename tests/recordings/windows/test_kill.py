"""A run over sessions that is killed: no half store opens, an old one stays whole, and the same run completes.

Runs are processes of their own, which kill themselves after a block or are killed from here after a while. Blocks are
made small, so that a little data makes many of them.
"""

from __future__ import annotations

import json
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from tests.recordings.windows.files import files_of, write_recording
from tests.recordings.windows.signals import make_frames, with_hole
from tests.servers.nursery import Child, get_nursery
from zarrmill.errors import NotFoundError
from zarrmill.keyspace import KeySpace
from zarrmill.recordings import open_windows
from zarrmill.store import open_keys

pytestmark = pytest.mark.slow

NAME = "s-01_windowed.zarr"
PRELOADED = ("zarrmill.recordings.windows.window_transform", "h5py", "scipy.signal", "xarray")
"""What every run imports."""

CHILD = '''
import json, os, signal, sys
import zarrmill.key_journal
from zarrmill.progress import BlockFinished
from zarrmill.recordings import Selection, TransformOptions, WindowSettings, WindowTransform
from zarrmill.recordings.windows import operation, window_transform

ORDER = json.loads(sys.argv[1])
operation.EEG_FRAMES, operation.FNIRS_FRAMES, operation.HDF5_CHUNKS = 700, 100, 1
zarrmill.key_journal.FLUSH_BLOCKS = 1


def watch(message, seen=[]):
    """Kill this process when so many blocks are finished."""
    seen.extend([message] if isinstance(message, BlockFinished) else [])
    if len(seen) == ORDER["blocks"]:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    window_transform.silent = watch
    options = TransformOptions(sync=False, storage_options={"target": ORDER["storage"]})
    settings = WindowSettings(window_ms=ORDER["window_ms"])
    transform = WindowTransform(ORDER["source"], ORDER["target"], settings=settings, options=options)
    (record,) = transform.run(Selection(only=("all",))).records
    print(json.dumps({"status": record.status, "message": record.message, **record.metadata}))
'''


@dataclass
class Place:
    """A session, where its store goes, and the stores of runs that nobody killed."""

    folder: Path
    target: str
    storage: dict[str, Any]

    def start(self, *, target: str | None = None, blocks: int = -1, window_ms: float = 210.0) -> Child:
        """Start a run in a process of its own."""
        script = self.folder / "child.py"
        script.write_text(CHILD)
        order = {"source": str(self.folder / "in"), "target": target or self.target, "blocks": blocks}
        order |= {"window_ms": window_ms, "storage": {} if target else self.storage}
        return get_nursery().start([str(script), json.dumps(order)], preload=PRELOADED)

    def finish(self, **order: Any) -> dict[str, Any]:
        """Run to the end and return what the record says."""
        out, err = self.start(**order).communicate()
        assert out.strip(), err
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        assert found["status"] == "success", found
        return found

    def kill_after(self, blocks: int) -> None:
        """Run until the run kills itself."""
        child = self.start(blocks=blocks)
        _, err = child.communicate()
        assert child.returncode == -signal.SIGKILL, err

    @property
    def keys(self) -> KeySpace:
        """All that the runs have left."""
        return open_keys(self.target, storage_options=self.storage or None)

    def remove(self) -> None:
        """Remove the store."""
        self.keys.delete([info.key for info in self.keys.list() if info.key.startswith(f"{NAME}/")])

    def read(self) -> xr.Dataset | None:
        """Return all that a reader gets, None where nothing opens."""
        try:
            return open_windows(f"{self.target}/{NAME}", storage_options=self.storage or None).load()
        except NotFoundError:
            return None

    def reference(self, *, window_ms: float = 210.0) -> xr.Dataset:
        """Return the windows of a run that nobody killed."""
        target = self.folder / f"whole-{window_ms:g}"
        if not target.exists():
            self.finish(target=str(target), window_ms=window_ms)
        return open_windows(target / NAME).load()

    def check_whole(self) -> None:
        """The store is that of a run that nobody killed, and nothing is left beside it."""
        expected, found = self.reference(), self.read()
        assert found is not None
        xr.testing.assert_identical(without_date(found), without_date(expected))
        files = files_of(self.folder / "whole-210" / NAME)
        if not self.storage:
            assert files_of(Path(self.target) / NAME) == files
        keys = [info.key for info in self.keys.list()]
        assert not [key for key in keys if ".zarrmill" in key]
        assert len([key for key in keys if key.startswith(f"{NAME}/")]) == len(files)

    def check_not_half(self, old: xr.Dataset | None = None) -> None:
        """What opens is the whole store, or the old one."""
        found = self.read()
        if found is None:
            assert old is None
            return
        whole = [without_date(known) for known in (old, self.reference()) if known is not None]
        assert any(without_date(found).identical(known) for known in whole)


def without_date(windows: xr.Dataset) -> xr.Dataset:
    """Return windows without when they were made."""
    return windows.assign_attrs(created_at="")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session is, and the stores of runs that nobody killed."""
    folder = tmp_path_factory.mktemp("kill")
    eeg = with_hole(make_frames(4_200), at=2_000, milliseconds=3_000.0)
    write_recording(folder / "in/s-01.h5", eeg=eeg, fnirs=make_frames(600, period=210.0), channels=5_000)
    return folder


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Place:
    if request.param == "disk":
        return Place(folder, str(tmp_path / "out"), {})
    bucket, storage = (request.getfixturevalue(name) for name in ("s3_bucket", "storage_options"))
    return Place(folder, f"{bucket}/windows", storage)


@pytest.mark.parametrize("blocks", [1, pytest.param(3, marks=pytest.mark.soak), 8], ids=str)
def test_kill_after_a_block(place: Place, blocks: int) -> None:
    """Nothing opens, and the same run goes on after the finished blocks."""
    place.kill_after(blocks)
    assert place.read() is None

    report = place.finish()

    assert report["resumed_blocks"] == blocks
    place.check_whole()


def test_an_old_store_stays_whole_over_a_kill(place: Place) -> None:
    """A killed replacement leaves the old windows as they were; the same run replaces them."""
    place.finish(window_ms=420.0)
    old = place.read()
    assert old is not None
    assert old.sizes["eeg_sample"] == 210

    place.kill_after(3)
    found = place.read()
    assert found is not None
    xr.testing.assert_identical(found, old)
    place.finish()

    place.check_whole()


def kill_at_random(place: Place, *, kills: int, seed: int) -> None:
    """Kill runs after random delays, every fifth time over an old store, and complete each store in turn."""
    chance = random.Random(seed)
    place.reference()
    began = time.monotonic()
    place.finish(window_ms=420.0)
    longest = 1.1 * (time.monotonic() - began)
    old = place.read()
    for kill in range(1, kills + 1):
        child = place.start()
        time.sleep(chance.uniform(0.2, 1) * longest)
        child.kill()
        _, err = child.communicate()
        assert child.returncode in (0, -signal.SIGKILL), err
        place.check_not_half(old)
        if kill % 5 == 0:
            place.finish()
            place.check_whole()
            place.remove()
            old = None


def test_five_kills_at_random_moments(place: Place) -> None:
    """At moments of any kind: while starting, reading, writing, publishing."""
    kill_at_random(place, kills=5, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2, 3], ids=str)
def test_fifty_kills_at_random_moments(place: Place, seed: int) -> None:
    """The same with fifty kills."""
    kill_at_random(place, kills=50, seed=seed)
