"""A run that is killed, at any moment: no target that opens, nothing lost, and the same bytes in the end.

Runs are processes of their own, which kill themselves at a message, at a step of publishing, or are killed from here
after a delay. Plans are made as if memory were scarce, so that a little data makes many blocks.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import zarrmill
from tests.servers.groups import wait_for_group
from tests.servers.nursery import Child, get_nursery
from zarrmill.draft import Draft

pytestmark = pytest.mark.slow

SHAPE = (512, 512)
VALUES = np.random.default_rng(11).integers(0, 4096, size=SHAPE).astype("f8")
OLD_VALUES = VALUES[::-1].copy()

CHILD = '''
import json, os, signal, sys
import zarrmill, zarrmill.publish, zarrmill.draft
import zarrmill.plan.arrays as arrays, zarrmill.plan.memory as memory

ORDER = {}


def plan_for_scarce_memory():
    """Have a little data make many blocks, in as many passes as are wanted."""
    memory.SLACK, memory.RUN_BYTES, arrays.SMALL, arrays.BLOCK_AIM = 0, 2**14, 0, 1
    chains, passes = arrays.chains, ORDER["passes"]
    arrays.chains = lambda *args, **options: (c for c in chains(*args, **options) if len(c.tiles) == passes)
    if passes > 1:
        arrays.one_pass_candidates = lambda *args, **options: []


def find_limit():
    """Return the largest limit in KiB that leads to so many passes, with some blocks in each."""
    known = ("chunks", "shards", "codecs", "executor", "workers", "verify")
    options = {name: value for name, value in ORDER["options"].items() if name in known}
    for kib in range(6000, 150, -50):
        try:
            plan = zarrmill.plan_rechunk(ORDER["source"], max_mem=kib * 1024, **options)
        except zarrmill.MemoryLimitError:
            continue
        if len(plan.arrays[0].passes) == ORDER["passes"] and all(len(stage) >= 6 for stage in plan.stages):
            return kib


def strike():
    os.kill(os.getpid(), ORDER["signal"])


def watch(counts={}):
    """Return a progress client that strikes at the n-th message of a kind."""
    def progress(message):
        name = type(message).__name__ + (":" + message.name if hasattr(message, "name") else "")
        counts[name] = counts.get(name, 0) + 1
        if name == "RunStarted":
            print("started", flush=True)
        if [name, counts[name]] == ORDER["at"]:
            if ORDER["hold"]:
                print("holding", flush=True)
                sys.stdin.read()
            strike()
    return progress


def strike_at_call(owner, name, *, number=1, before=True):
    """Strike at the n-th call of a function, before it or after it."""
    real, calls = getattr(owner, name), []

    def call(*args, **options):
        calls.append(name)
        if len(calls) == number and before:
            strike()
        result = real(*args, **options)
        if len(calls) == number:
            strike()
        return result

    setattr(owner, name, call)


def main():
    ORDER.update(json.loads(sys.argv[1]))
    plan_for_scarce_memory()
    if ORDER["no_exchange"]:
        zarrmill.publish._exchange = lambda a, b: False
    owners = {"os": os, "publish": zarrmill.publish, "draft": zarrmill.draft.Draft}
    for owner, name, number, before in ORDER["calls"]:
        strike_at_call(owners[owner], name, number=number, before=before)
    if ORDER["plan"]:
        return print(find_limit())
    if ORDER["cli"]:
        from zarrmill.cli import main
        sys.argv = ["zarrmill", *ORDER["cli"]]
        main()
    report = zarrmill.rechunk(ORDER["source"], ORDER["target"], progress=watch(), **ORDER["options"])
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
    route: str = "driver"

    @property
    def order(self) -> dict[str, Any]:
        """What a child is told."""
        return {"passes": self.passes}


# Nothing is synced in most runs: a test machine's disk may take seconds for what has no effect on a killed process.
SHARDED = {"chunks": [8, 512], "shards": [32, 512], "sync": False, "workers": 2}
ONE_PASS = Mode("one-pass", SHARDED)
UNSHARDED = Mode("unsharded", {**SHARDED, "shards": None, "verify": "written"})
TWO_PASSES = Mode("two-passes", SHARDED, passes=2)
THREE_PASSES = Mode("three-passes", SHARDED, passes=3)
MOVED = Mode("bytes-moved", {**SHARDED, "chunks": [512, 4], "shards": [512, 32]}, route="bytes")
PROCESSES = Mode("processes", {**ONE_PASS.options, "executor": "processes"})
MODES = [ONE_PASS, UNSHARDED, TWO_PASSES, THREE_PASSES, MOVED, PROCESSES]
each_mode = pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)


@dataclass
class Place:
    """A folder with a source, in which targets are made."""

    folder: Path
    references: dict[str, tuple[dict[str, Any], dict[str, bytes]]] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "source.zarr"

    def limit(self, mode: Mode) -> str:
        """Return the limit that makes a mode what it is."""
        if mode.name not in self.limits:
            self.limits[mode.name] = "1GiB"
            out, err = start(self, self.folder, mode, plan=True).communicate()
            assert out.strip().isdigit(), err
            self.limits[mode.name] = f"{out.strip()}KiB"
        return self.limits[mode.name]

    def reference(self, mode: Mode) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Return the report and the files of a run that nobody kills."""
        if mode.name not in self.references:
            target = self.folder / f"{mode.name}.zarr"
            report = finish(self, target, mode)
            assert (report["arrays"][0]["passes"], report["arrays"][0]["route"]) == (mode.passes, mode.route)
            self.references[mode.name] = report, files_of(target)
        return self.references[mode.name]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("kill"))
    array = zarr.create_array(
        place.source, shape=SHAPE, dtype="f8", chunks=(512, 4), dimension_names=("object", "epoch")
    )
    array[:] = VALUES
    return place


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target.zarr"


def start(place: Place, target: Path, mode: Mode, **order: Any) -> Child:
    """Start a run in a process group of its own."""
    defaults = {"signal": signal.SIGKILL, "at": None, "hold": False, "calls": [], "no_exchange": False}
    defaults |= {"cli": None, "plan": False}
    told = {**defaults, **mode.order, "source": str(place.source), "target": str(target)}
    told["options"] = {"max_mem": place.limit(mode), **mode.options, **order.pop("options", {})}
    script = place.folder / "child.py"
    if not script.exists():
        script.write_text(CHILD)
    return get_nursery().start([str(script), json.dumps(told | order)])


def finish(place: Place, target: Path, mode: Mode, **order: Any) -> dict[str, Any]:
    """Run to the end; return the report."""
    child = start(place, target, mode, **order)
    out, err = child.communicate()
    assert child.returncode == 0, err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def kill(place: Place, target: Path, mode: Mode, **order: Any) -> None:
    """Run until the run kills itself."""
    child = start(place, target, mode, **order)
    _, err = child.communicate()
    assert child.returncode == -signal.SIGKILL, err
    wait_for_group(child.pid)


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_nothing_opens(target: Path) -> None:
    """No library takes what is there for a store."""
    assert not target.exists()
    with pytest.raises(FileNotFoundError):
        zarr.open(str(target), mode="r")
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(str(target))
    with pytest.raises(zarrmill.NotFoundError):
        zarrmill.digest(target)


def check_whole(place: Place, target: Path, mode: Mode, report: dict[str, Any], *, same_plan: bool = True) -> None:
    """The target has the bytes of a run that nobody killed, and nothing is left beside it.

    Another number of processes may have another plan, which writes the same but reads otherwise.
    """
    expected, files = place.reference(mode)
    assert files_of(target) == files
    assert report["digest"] == expected["digest"]
    planned = ("source_chunks_read", "bytes_read", "blocks") if same_plan else ()
    for figure in ("keys_written", "keys_empty", "target_bytes", *planned):
        assert report[figure] == expected[figure], figure
    assert os.listdir(target.parent) == [target.name]
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)


# --- at a block -------------------------------------------------------------------------------------------------------


@each_mode
def test_kill_after_a_block(place: Place, target: Path, mode: Mode) -> None:
    """After a kill nothing opens; the same call continues after the finished blocks and makes the same bytes."""
    kill(place, target, mode, at=["BlockFinished", 3])
    check_nothing_opens(target)
    report = finish(place, target, mode)
    assert report["resumed_blocks"] == 3
    check_whole(place, target, mode, report)


@pytest.mark.parametrize(
    "mode", [TWO_PASSES, pytest.param(PROCESSES, marks=pytest.mark.soak)], ids=lambda mode: mode.name
)
def test_kill_after_the_last_block(place: Place, target: Path, mode: Mode) -> None:
    """With every block done, the next run only checks and publishes."""
    blocks = place.reference(mode)[0]["blocks"]
    kill(place, target, mode, at=["BlockFinished", blocks])
    check_nothing_opens(target)
    report = finish(place, target, mode)
    assert report["resumed_blocks"] == blocks
    check_whole(place, target, mode, report)


@pytest.mark.parametrize("mode", [TWO_PASSES, THREE_PASSES], ids=lambda mode: mode.name)
def test_kills_in_the_last_pass(place: Place, target: Path, mode: Mode) -> None:
    """The intermediate survives a kill, so that the passes before are not done again."""
    blocks = place.reference(mode)[0]["blocks"]
    kill(place, target, mode, at=["BlockFinished", blocks - 3])
    kill(place, target, mode, at=["BlockFinished", 2])
    report = finish(place, target, mode)
    assert report["resumed_blocks"] == blocks - 1
    check_whole(place, target, mode, report)


@pytest.mark.parametrize("mode", [ONE_PASS, TWO_PASSES, MOVED], ids=lambda mode: mode.name)
def test_kill_within_a_block(place: Place, target: Path, mode: Mode) -> None:
    """What a block had written before the kill is written again, and none of it counts."""
    kill(place, target, mode, at=["BlockAdvanced", 4])
    check_nothing_opens(target)
    check_whole(place, target, mode, finish(place, target, mode))


@pytest.mark.parametrize("mode", [UNSHARDED, THREE_PASSES], ids=lambda mode: mode.name)
def test_five_kills_in_a_row(place: Place, target: Path, mode: Mode) -> None:
    """Each run gets some blocks further, and none is lost."""
    for _ in range(5):
        kill(place, target, mode, at=["BlockFinished", 1])
        check_nothing_opens(target)
    report = finish(place, target, mode)
    assert report["resumed_blocks"] == 5
    check_whole(place, target, mode, report)


# --- at any moment ----------------------------------------------------------------------------------------------------


def kill_at_random(place: Place, folder: Path, mode: Mode, *, kills: int, seed: int) -> None:
    """Kill runs after random delays, from their start to a little after their end, and finish each target in turn."""
    chance, number, done = random.Random(seed), 0, 0
    place.reference(mode)
    began = time.monotonic()
    finish(place, folder / "timed.zarr", mode)
    longest = 1.1 * (time.monotonic() - began)
    while done < kills:
        number += 1
        parent = folder / str(number)
        parent.mkdir()
        target = parent / "target.zarr"
        while True:
            child = start(place, target, mode)
            time.sleep(chance.uniform(0, longest))
            child.kill()
            _, err = child.communicate()
            wait_for_group(child.pid)
            if target.exists():
                break
            assert child.returncode == -signal.SIGKILL, err
            check_nothing_opens(target)
            done += 1
            if done % 5 == 0:
                break
        if target.exists():
            # The kill came with or after the rename: what is visible is whole, and the draft can be removed.
            assert files_of(target) == place.reference(mode)[1]
            Draft(target).remove()
            assert os.listdir(parent) == ["target.zarr"]
        else:
            check_whole(place, target, mode, finish(place, target, mode))


def test_kills_at_random_moments(place: Place, tmp_path: Path) -> None:
    """Five kills at moments of any kind: while reading, writing, publishing."""
    kill_at_random(place, tmp_path, UNSHARDED, kills=5, seed=1)


@pytest.mark.soak
@each_mode
def test_fifty_kills_at_random_moments(place: Place, tmp_path: Path, mode: Mode) -> None:
    """The same with fifty kills, in every mode."""
    kill_at_random(place, tmp_path, mode, kills=50, seed=100 + MODES.index(mode))


# --- while publishing -------------------------------------------------------------------------------------------------

BEFORE = {
    "check": {"at": ["StepStarted:check", 1]},
    "publish": {"at": ["StepStarted:publish", 1]},
    "documents": {"calls": [["publish", "_write_documents", 1, True]]},
    "rename": {"calls": [["os", "rename", 1, True]]},
}
AFTER = {
    "rename": {"calls": [["os", "rename", 1, False]]},
    "parents": {"calls": [["publish", "_tell_parents", 1, False]]},
    "claim-removed": {"calls": [["publish", "_removed", 1, True]]},
    "emptied": {"calls": [["draft", "empty", 2, False]]},
}


def test_half_a_record_does_not_stop_the_next_run(place: Place, target: Path) -> None:
    """A file that was being written when the run was killed is no key: it is gone from what is published."""
    kill(place, target, UNSHARDED, **BEFORE["documents"])
    (Draft(target).data / ".0123456789abcdef.zarrmill-tmp").write_bytes(b"")
    report = finish(place, target, UNSHARDED)
    check_whole(place, target, UNSHARDED, report)
    assert not list(target.rglob("*-tmp"))


@pytest.mark.parametrize("step", BEFORE.values(), ids=[f"before-{name}" for name in BEFORE])
def test_kill_before_the_target_is_visible(place: Place, target: Path, step: dict[str, Any]) -> None:
    """A complete draft, even one with all of its metadata, does not open at the target, and is published next time."""
    kill(place, target, UNSHARDED, **step)
    check_nothing_opens(target)
    report = finish(place, target, UNSHARDED)
    assert report["resumed_blocks"] == report["blocks"]
    check_whole(place, target, UNSHARDED, report)


@pytest.mark.parametrize("step", AFTER.values(), ids=[f"after-{name}" for name in AFTER])
def test_kill_after_the_target_is_visible(place: Place, target: Path, step: dict[str, Any]) -> None:
    """The target is whole; the same call says that it is there, and discarding the draft leaves it alone."""
    kill(place, target, UNSHARDED, **step)
    assert files_of(target) == place.reference(UNSHARDED)[1]
    with pytest.raises(zarrmill.AlreadyExistsError):
        zarrmill.rechunk(place.source, target, chunks=(8, 512))
    Draft(target).remove()
    assert os.listdir(target.parent) == [target.name]
    assert files_of(target) == place.reference(UNSHARDED)[1]


PLAIN = Mode("plain", {**SHARDED, "shards": None, "codecs": "none", "overwrite": True})
"""Old and new target have the same keys with the same sizes, so that one could be taken for the other."""
REPLACING = {
    "before-exchange": (False, {"calls": [["publish", "_exchange", 1, True]]}),
    "after-exchange": (True, {"calls": [["publish", "_exchange", 1, False]]}),
    "while-emptying": (True, {"calls": [["draft", "empty", 2, True]]}),
    "before-two-renames": (False, {"no_exchange": True, "calls": [["os", "rename", 1, True]]}),
    "between-two-renames": (None, {"no_exchange": True, "calls": [["os", "rename", 1, False]]}),
    "after-two-renames": (True, {"no_exchange": True, "calls": [["os", "rename", 2, False]]}),
}


@pytest.fixture
def old_target(target: Path) -> Path:
    zarr.create_array(
        target, shape=SHAPE, dtype="f8", chunks=(8, 512), compressors=None, dimension_names=("object", "epoch"),
        chunk_key_encoding={"name": "default", "separator": "."}, config={"write_empty_chunks": True},
    )[:] = OLD_VALUES  # fmt: skip
    return target


@pytest.mark.parametrize(("visible", "step"), REPLACING.values(), ids=list(REPLACING))
def test_kill_while_replacing(place: Place, old_target: Path, visible: bool | None, step: dict[str, Any]) -> None:
    """The old target or the new one is there, whole; the same call makes it the new one, never the old one again."""
    kill(place, old_target, PLAIN, **step)
    if visible is None:
        assert not old_target.exists()
    else:
        values = zarr.open_array(old_target, mode="r")[:]
        np.testing.assert_array_equal(values, VALUES if visible else OLD_VALUES)
    finish(place, old_target, PLAIN)
    np.testing.assert_array_equal(zarr.open_array(old_target, mode="r")[:], VALUES)
    assert os.listdir(old_target.parent) == [old_target.name]


def test_old_target_is_readable_until_the_new_one_is_complete(place: Place, old_target: Path) -> None:
    """A kill at a block of a run with overwrite leaves the old target as it was."""
    before = files_of(old_target)
    kill(place, old_target, PLAIN, at=["BlockFinished", 3])
    assert files_of(old_target) == before
    report = finish(place, old_target, PLAIN)
    assert report["resumed_blocks"] == 3
    np.testing.assert_array_equal(zarr.open_array(old_target, mode="r")[:], VALUES)


def test_old_target_survives_a_discard_between_the_renames(place: Place, old_target: Path) -> None:
    """Where folders cannot be exchanged, whoever discards the draft of a killed run gets the old target back."""
    kill(place, old_target, PLAIN, **REPLACING["between-two-renames"][1])
    Draft(old_target).remove()
    np.testing.assert_array_equal(zarr.open_array(old_target, mode="r")[:], OLD_VALUES)


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


@each_mode
def test_interrupt(place: Place, target: Path, mode: Mode) -> None:
    """Ctrl-C ends a run with KeyboardInterrupt; blocks that were done are kept."""
    child = start(place, target, mode, signal=signal.SIGINT, at=["BlockFinished", 3])
    _, err = child.communicate()
    assert "KeyboardInterrupt" in err
    assert child.returncode == -signal.SIGINT
    wait_for_group(child.pid)
    check_nothing_opens(target)
    report = finish(place, target, mode)
    # Blocks that were under way in other processes are waited for and kept.
    assert 3 <= report["resumed_blocks"] <= 7
    check_whole(place, target, mode, report)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_interrupt_of_the_command(place: Place, target: Path, executor: str) -> None:
    """Ctrl-C in a terminal reaches every process of the command; it says so in one line and exits with 130."""
    command = [
        "rechunk", str(place.source), str(target), "--chunks", "object=8,epoch=-1", "--shards", "object=32,epoch=-1",
        "--max-mem", place.limit(ONE_PASS), "--executor", executor, "--workers", "2", "--progress", "json", "--no-sync",
    ]  # fmt: skip
    child = start(place, target, ONE_PASS, cli=command)
    seen = ""
    for line in child.stderr:
        seen += line
        if "block_finished" in line:
            break
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode == 130, seen + err
    lines = [line for line in err.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, err
    assert lines[0].startswith("interrupted")
    assert "continues" in lines[0]
    wait_for_group(child.pid)
    check_nothing_opens(target)
    report = finish(place, target, ONE_PASS, options={"executor": executor})
    assert report["resumed_blocks"] >= 1
    check_whole(place, target, ONE_PASS, report, same_plan=executor != "processes")


# --- other requests, other runs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chunks": [16, 512]}, "chunks"),
        ({"shards": [64, 512]}, "shards"),
        ({"codecs": "gzip"}, "codecs"),
        ({"max_mem": "5MiB"}, "max_mem"),
        ({"verify": "none"}, "verify"),
        ({"checksum": False}, "codecs"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_changed_request_is_refused(place: Place, target: Path, change: dict[str, Any], said: str) -> None:
    """Another request does not continue a killed run's draft: it hears what is different, and touches nothing."""
    kill(place, target, ONE_PASS, at=["BlockFinished", 2])
    before = files_of(Draft(target).folder)
    child = start(place, target, ONE_PASS, options=change)
    _, err = child.communicate()
    assert child.returncode == 1
    assert "ResumeError" in err
    assert said in err.splitlines()[-1]
    assert "->" in err.splitlines()[-1]
    assert files_of(Draft(target).folder) == before


def test_changed_request_starts_again_without_resume(place: Place, target: Path) -> None:
    """With ``resume=False`` the draft of another request is replaced."""
    kill(place, target, TWO_PASSES, at=["BlockFinished", 5])
    report = finish(place, target, UNSHARDED, options={"resume": False})
    assert report["resumed_blocks"] == 0
    check_whole(place, target, UNSHARDED, report)


def test_changed_source_metadata_are_refused(place: Place, tmp_path: Path) -> None:
    """A source that was written anew between two runs, with another fill value, is another source."""
    own = Place(tmp_path)
    for fill in (0.0, 1.0):
        array = zarr.create_array(own.source, shape=SHAPE, dtype="f8", chunks=(512, 4), fill_value=fill, overwrite=True)
        array[:] = VALUES
        if not fill:
            kill(own, tmp_path / "target.zarr", ONE_PASS, at=["BlockFinished", 2])
    child = start(own, tmp_path / "target.zarr", ONE_PASS)
    _, err = child.communicate()
    assert child.returncode == 1
    assert "ResumeError" in err.splitlines()[-1]
    assert "fill_value: 0.0 -> 1.0" in err.splitlines()[-1]


@pytest.fixture
def holder(place: Place, target: Path) -> Iterator[Child]:
    """A run that has done two blocks and waits."""
    child = start(place, target, ONE_PASS, at=["BlockFinished", 2], hold=True)
    for line in child.stdout:
        if line.strip() == "holding":
            break
    yield child
    child.kill()
    child.communicate()


@pytest.mark.parametrize("resume", [True, False], ids=["resume", "no-resume"])
def test_second_run_is_refused(place: Place, target: Path, holder: Child, resume: bool) -> None:
    """While one run writes a target, another is refused and changes nothing; after a kill it may continue."""
    before = files_of(Draft(target).folder)
    child = start(place, target, ONE_PASS, options={"resume": resume})
    _, err = child.communicate()
    assert child.returncode == 1
    assert "ResumeError" in err.splitlines()[-1]
    assert "another run is writing" in err.splitlines()[-1]
    assert files_of(Draft(target).folder) == before
    holder.kill()
    holder.communicate()
    report = finish(place, target, ONE_PASS)
    assert report["resumed_blocks"] == 2
    check_whole(place, target, ONE_PASS, report)


# --- what a kill leaves -----------------------------------------------------------------------------------------------


@pytest.mark.soak  # test_kill_after_a_block looks for them too
def test_workers_end_with_their_run(place: Place, target: Path) -> None:
    """The processes of a killed run do not go on writing into a draft that the next run has."""
    kill(place, target, PROCESSES, at=["BlockFinished", 1])


def test_intermediates_elsewhere_are_found_again(place: Place, target: Path) -> None:
    """A scratch folder given by the caller holds the intermediate over a kill, and nothing in the end."""
    scratch = target.parent / "scratch"
    scratch.mkdir()
    options = {"scratch": str(scratch)}
    blocks = place.reference(TWO_PASSES)[0]["blocks"]
    kill(place, target, TWO_PASSES, at=["BlockFinished", blocks - 1], options=options)
    assert len(os.listdir(scratch)) == 1
    report = finish(place, target, TWO_PASSES, options=options)
    assert report["resumed_blocks"] == blocks - 1
    assert os.listdir(scratch) == []


def test_another_scratch_folder_may_be_used_after_a_kill(place: Place, target: Path) -> None:
    """A run may continue with the intermediate elsewhere: it is made anew there, and the first one is removed."""
    first, second = target.parent / "first", target.parent / "second"
    first.mkdir()
    second.mkdir()
    blocks = place.reference(TWO_PASSES)[0]["blocks"]
    kill(place, target, TWO_PASSES, at=["BlockFinished", blocks - 1], options={"scratch": str(first)})
    report = finish(place, target, TWO_PASSES, options={"scratch": str(second)})
    assert 0 < report["resumed_blocks"] < blocks - 1
    assert os.listdir(first) == os.listdir(second) == []
    assert files_of(target) == place.reference(TWO_PASSES)[1]


def test_discard_removes_what_a_kill_left(place: Place, target: Path) -> None:
    """Nothing of a discarded run is left, wherever its intermediate was."""
    scratch = target.parent / "scratch"
    scratch.mkdir()
    kill(place, target, TWO_PASSES, at=["BlockFinished", 5], options={"scratch": str(scratch)})
    assert Draft(target).remove() > 1_000_000
    assert os.listdir(scratch) == []
    assert os.listdir(target.parent) == ["scratch"]
