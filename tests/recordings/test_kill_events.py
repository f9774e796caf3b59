"""The event transform killed at random moments of runs over several sessions: no half store, and the rest only once."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import zarrmill
from tests.servers.groups import wait_for_group
from tests.servers.nursery import get_nursery
from zarrmill.errors import NotFoundError, SourceFormatError
from zarrmill.keyspace import KeyInfo, KeySpace
from zarrmill.recordings.event_reader import open_events
from zarrmill.recordings.event_transform import EventTransform
from zarrmill.recordings.event_verify import verify_events
from zarrmill.recordings.selection import Selection
from zarrmill.recordings.transform_options import TransformOptions
from zarrmill.store import open_keys
from zarrmill.testing import write_curated

pytestmark = pytest.mark.slow

SRC = Path(zarrmill.__file__).parents[1]
PRELOADED = ("zarrmill.recordings.event_transform", "h5py", "xarray")
"""What every run imports."""
NAMES = tuple(f"s{number}" for number in range(4))
CHILD = """
import json, sys
from zarrmill.recordings import EventTransform, Selection, TransformOptions

if __name__ == "__main__":
    root, options, only, executor = json.loads(sys.argv[1])
    made = EventTransform(root, options=TransformOptions(storage_options=options))
    print("started", flush=True)
    made.run(Selection(only=only), executor=executor, workers=2)
"""
SECONDS = 0.15
"""About as long as a session takes: the kill comes within the one after those that are waited for."""


@dataclass
class Lab:
    """A place with sessions, whose stores are made by processes that get killed."""

    root: str
    options: dict[str, Any] | None
    inputs: Path
    """The same files on the disk."""
    proved: dict[str, set[KeyInfo]] = field(default_factory=dict)
    """The keys of each store when it was compared with its source."""

    @property
    def transform(self) -> EventTransform:
        return EventTransform(self.root, options=TransformOptions(storage_options=self.options))

    @property
    def outputs(self) -> KeySpace:
        return open_keys(f"{self.root}/processed/event", storage_options=self.options)

    def records(self) -> int:
        """Return the number of records."""
        return sum(len(history.ended) for history in self.transform.records.histories().values())

    def done(self) -> set[str]:
        """Return the sessions that a record says to have succeeded."""
        histories = self.transform.records.histories()
        return {name for name, history in histories.items() if history.state == "success"}

    def roots(self) -> dict[str, bytes]:
        """Return what tells one store of a session from the next: its root, in which stands when it was made."""
        keys = self.outputs
        found = {name: keys.get(f"{name}_events.zarr/zarr.json") for name in NAMES}
        return {name: bytes(data) for name, data in found.items() if data is not None}

    def kill(self, rng: random.Random, *, only: list[str], executor: str) -> None:
        """Have a process run, and kill it a moment after it has made some records."""
        before, wanted = self.records(), rng.randrange(len(NAMES) - len(self.done()) or len(NAMES))
        script = self.inputs.parent.parent / "child.py"
        script.write_text(CHILD)
        order = json.dumps([self.root, self.options, only, executor])
        child = get_nursery().start([str(script), order], preload=PRELOADED)
        assert child.stdout.readline() == "started\n"
        deadline = time.monotonic() + 60
        while self.records() < before + wanted and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002 if self.options is None else 0.05)  # a look at a bucket is a request
        time.sleep(rng.uniform(0, SECONDS))
        child.kill()
        child.communicate()
        if executor == "processes":
            wait_for_group(child.pid)

    def check(self) -> None:
        """Check that every store that opens is what its source says, and that every session done has one."""
        opened, keys = set(), defaultdict(set)
        for info in self.outputs.list():
            keys[info.key.split("/")[0]].add(info)
        for name in NAMES:
            store = f"{self.root}/processed/event/{name}_events.zarr"
            try:
                open_events(store, storage_options=self.options)
            except (NotFoundError, SourceFormatError):
                assert not Path(store).exists()
                continue
            opened.add(name)
            # A store in which not one key was written since it was proved is what it was.
            if self.proved.get(name) != keys[f"{name}_events.zarr"]:
                report = verify_events(self.inputs / f"{name}.h5", store, storage_options=self.options)
                assert report.ok, report.differences
                self.proved[name] = keys[f"{name}_events.zarr"]
        assert self.done() <= opened

    def check_no_leftovers(self) -> None:
        """Check that there are stores and records, and nothing else."""
        keys = [info.key for info in self.outputs.list()]
        assert {key.split("/")[0] for key in keys} == {"records", *(f"{name}_events.zarr" for name in NAMES)}
        assert not [key for key in keys if ".zarrmill" in key]
        counts = {name: sum(key.startswith(f"{name}_events") for key in keys) for name in NAMES}
        assert len(set(counts.values())) == 1


@pytest.fixture(params=["disk", "s3"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    """Sessions of the same tables, on a disk or in a bucket."""
    inputs = tmp_path / "lab" / "curated-h5"
    inputs.mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        write_curated(inputs / f"{name}.h5", seed=seed, tasks=3, elements=30, segments=20)
    if request.param == "disk":
        yield Lab(str(tmp_path / "lab"), None, inputs)
        return
    bucket, options = (request.getfixturevalue(name) for name in ("s3_bucket", "storage_options"))
    keys = open_keys(bucket, storage_options=options)
    for name in NAMES:
        keys.put(f"curated-h5/{name}.h5", (inputs / f"{name}.h5").read_bytes())
    yield Lab(bucket, options, inputs)


def kill_and_complete(lab: Lab, *, kills: int, seed: int) -> None:
    """Kill run after run, some of which replace stores, look each time, and have the last one complete the rest."""
    rng, cut_short = random.Random(seed), 0
    for number in range(kills):
        if len(lab.done()) == len(NAMES):
            lab.transform.reset(Selection(names=rng.sample(NAMES, 3)), outputs=bool(number % 2))
        done, roots, before = lab.done(), lab.roots(), lab.records()
        replaces = number % 3 == 2
        executor = "processes" if number % 4 == 3 else "serial"
        lab.kill(rng, only=["all"] if replaces else ["new", "failed"], executor=executor)
        lab.check()
        cut_short += lab.records() - before < (len(NAMES) if replaces else len(NAMES) - len(done))
        assert done <= lab.done()
        if not replaces:
            after = lab.roots()
            assert {name: after[name] for name in done} == {name: roots[name] for name in done}
    missing, roots = set(NAMES) - lab.done(), lab.roots()
    report = lab.transform.run()
    assert {record.session_id for record in report.records} == missing
    assert report.exit_code == 0
    assert all(lab.roots()[name] == roots[name] for name in set(NAMES) - missing)
    lab.check()
    # Sessions that were done already may have a draft of a run that was to replace them: the next run clears it away.
    assert lab.transform.run(Selection(only=["all"])).exit_code == 0
    lab.check()
    lab.check_no_leftovers()
    assert cut_short >= kills // 2


def test_five_kills(lab: Lab) -> None:
    """Five runs are killed; what is done stays done, and what opens is whole."""
    kill_and_complete(lab, kills=5, seed=1)


@pytest.mark.soak
def test_fifty_kills(lab: Lab) -> None:
    """Fifty."""
    kill_and_complete(lab, kills=50, seed=100)
