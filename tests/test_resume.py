"""What a run that continues does first: finished blocks of which something is lost are done again, and only those.

Plans are made as if memory were scarce, so that a little data makes many blocks in several passes.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import zarrmill
from zarrmill import RechunkReport
from zarrmill.draft import Draft
from zarrmill.plan import arrays, memory
from zarrmill.progress import BlockFinished, Message, RunStarted

SHAPE = (512, 512)
VALUES = np.random.default_rng(5).integers(0, 4096, size=SHAPE).astype("f8")
REQUEST: dict[str, Any] = {"chunks": (8, 512), "shards": (32, 512), "executor": "serial"}
LEAST_BLOCKS = 6
"""Blocks of each pass."""
FOUND: dict[int, tuple[int, ...]] = {1: (700, 600), 2: (1000,), 3: (1050,)}
"""KiB that lead to so many passes: where these no longer do, a search finds others."""


class Stopped(BaseException):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source that nobody writes to."""
    path = tmp_path_factory.mktemp("source") / "source.zarr"
    zarr.create_array(path, shape=SHAPE, chunks=(512, 4), dtype="f8")[:] = VALUES
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target.zarr"


@pytest.fixture
def plan_passes(source: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Have plans of so many passes, with some blocks in each; returns the request."""
    chains = arrays.chains
    for module, name, value in ((memory, "SLACK", 0), (memory, "RUN_BYTES", 2**14), (arrays, "SMALL", 0)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(arrays, "BLOCK_AIM", 1)

    def plan(passes: int, **changes: Any) -> dict[str, Any]:
        def of_passes(*args: Any, **options: Any) -> Any:
            return (chain for chain in chains(*args, **options) if len(chain.tiles) == passes)

        monkeypatch.setattr(arrays, "chains", of_passes)
        if passes > 1:
            monkeypatch.setattr(arrays, "one_pass_candidates", lambda *args, **options: [])
        # What was found before comes first: the search makes a hundred plans.
        for kib in (*FOUND.get(passes, ()), *range(6000, 150, -50)):
            request = {**REQUEST, **changes, "max_mem": kib * 1024}
            if has_passes(source, request, passes):
                FOUND[passes] = (kib, *(other for other in FOUND.get(passes, ()) if other != kib))
                return request
        pytest.fail(f"no limit leads to {passes} passes")

    return plan


def has_passes(source: Path, request: dict[str, Any], passes: int) -> bool:
    try:
        plan = zarrmill.plan_rechunk(source, **request)
    except zarrmill.MemoryLimitError:
        return False
    return len(plan.arrays[0].passes) == passes and all(len(stage) >= LEAST_BLOCKS for stage in plan.stages)


def run_until(source: Path, target: Path, block: int | str, **request: Any) -> None:
    """Run until so many blocks are finished, or until one of a name is, and stop as a kill would."""
    finished: list[str] = []

    def stop(message: Message) -> None:
        if isinstance(message, BlockFinished):
            finished.append(message.block)
            if block in (len(finished), message.block):
                raise Stopped

    with pytest.raises(Stopped):
        zarrmill.rechunk(source, target, **request, sync=False, progress=stop)


def go_on(source: Path, target: Path, **request: Any) -> tuple[RechunkReport, list[str]]:
    """Continue to the end; return the report and the blocks that were done, and check the target."""
    done: list[str] = []

    def note(message: Message) -> None:
        if isinstance(message, BlockFinished):
            done.append(message.block)

    report = zarrmill.rechunk(source, target, **request, sync=False, progress=note)
    np.testing.assert_array_equal(zarr.open_array(target, mode="r")[:], VALUES)
    assert not Draft(target).exists()
    assert report.resumed_blocks + len(done) == report.blocks
    return report, done


def blocks_of(source: Path, **request: Any) -> list[str]:
    """Return the blocks of a request in order."""
    return [block.id for stage in zarrmill.plan_rechunk(source, **request).stages for block in stage.blocks()]


Plan = Callable[..., dict[str, Any]]
each_count = pytest.mark.parametrize("passes", [1, 2, 3], ids=["one-pass", "two-passes", "three-passes"])


@each_count
def test_only_unfinished_blocks_are_done(source: Path, target: Path, plan_passes: Plan, passes: int) -> None:
    """Stopped after any block, a run continues with the next."""
    request = plan_passes(passes)
    blocks = blocks_of(source, **request)
    for stop in (1, len(blocks) // 2, len(blocks) - 1):
        run_until(source, target, stop, **request)
        report, done = go_on(source, target, **request)
        assert report.resumed_blocks == stop
        assert done == blocks[stop:]
        os.rename(target, target.with_name(f"done-{passes}-{stop}"))


@each_count
def test_report_is_that_of_an_uninterrupted_run(source: Path, target: Path, plan_passes: Plan, passes: int) -> None:
    """Figures count what was done before, and the digest is the same."""
    request = plan_passes(passes)
    whole, _ = go_on(source, target.with_name("whole.zarr"), **request)
    run_until(source, target, 5, **request)
    report, _ = go_on(source, target, **request)
    for figure in (
        "digest", "source_chunks_read", "bytes_read", "bytes_written", "target_bytes", "keys_written", "keys_empty",
    ):  # fmt: skip
        assert getattr(report, figure) == getattr(whole, figure), figure


def test_progress_begins_where_it_was(source: Path, target: Path, plan_passes: Plan) -> None:
    """The first message tells of the blocks that are done, and of their weight."""
    request = plan_passes(1)
    run_until(source, target, 4, **request)
    messages: list[Message] = []
    zarrmill.rechunk(source, target, **request, sync=False, progress=messages.append)
    started = messages[0]
    assert isinstance(started, RunStarted)
    blocks = len(blocks_of(source, **request))
    assert (started.done_blocks, started.blocks) == (4, blocks)
    assert started.done_weight == 4 * started.weight // blocks
    assert started.weight == VALUES.nbytes


def remove_key(path: Path) -> None:
    path.unlink()


def cut_key(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty_key(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("lose", [remove_key, cut_key, empty_key], ids=lambda lose: lose.__name__)
@pytest.mark.parametrize("shards", [(32, 512), None], ids=["sharded", "unsharded"])
def test_block_of_a_lost_key_is_done_again(
    source: Path, target: Path, plan_passes: Plan, lose: Callable[[Path], None], shards: Any
) -> None:
    """A key that is gone, or shorter than it was, costs its block, and no other."""
    request = plan_passes(1, shards=shards)
    blocks = blocks_of(source, **request)
    run_until(source, target, 5, **request)
    keys = sorted(path for path in Draft(target).data.rglob("*") if path.is_file())
    lose(keys[0])
    report, done = go_on(source, target, **request)
    assert report.resumed_blocks == 4
    assert done == [blocks[0], *blocks[5:]]


def test_all_lost(source: Path, target: Path, plan_passes: Plan) -> None:
    """Without the data of the draft a run begins at the beginning."""
    request = plan_passes(1)
    run_until(source, target, 5, **request)
    for path in Draft(target).data.iterdir():
        if path.is_file():
            path.unlink()
        else:
            for key in path.rglob("*"):
                if key.is_file():
                    key.unlink()
    report, _ = go_on(source, target, **request)
    assert report.resumed_blocks == 0


def tiles_of(target: Path) -> list[Path]:
    """Return the files of intermediates in a draft."""
    return sorted(path for path in Draft(target).default_scratch.rglob("*") if path.is_file())


@pytest.mark.parametrize("passes", [2, 3], ids=["two-passes", "three-passes"])
def test_block_of_a_lost_tile_is_done_again(source: Path, target: Path, plan_passes: Plan, passes: int) -> None:
    """A tile of the intermediate that is gone costs the block that wrote it."""
    request = plan_passes(passes)
    blocks = blocks_of(source, **request)
    last = [block for block in blocks if f":{passes - 1}:0:" in block]
    run_until(source, target, last[1], **request)
    tiles_of(target)[0].unlink()
    _, done = go_on(source, target, **request)
    assert set(last[:2]).isdisjoint(done)
    assert len([block for block in done if f":{passes - 2}:0:" in block]) == 1
    # The intermediate that this block reads is removed once its pass is complete, so it is made again.
    if passes == 3:
        assert [block for block in done if ":0:0:" in block] == [block for block in blocks if ":0:0:" in block]


def test_lost_key_of_the_last_pass_brings_back_the_first(source: Path, target: Path, plan_passes: Plan) -> None:
    """Where the intermediate is gone already, what is needed for the lost key is read from the source again."""
    request = plan_passes(2)
    blocks = blocks_of(source, **request)
    run_until(source, target, len(blocks), **request)
    for path in tiles_of(target):
        path.unlink()
    min(path for path in Draft(target).data.rglob("*") if path.is_file()).unlink()
    report, done = go_on(source, target, **request)
    first = [block for block in blocks if ":0:0:" in block]
    last = [block for block in blocks if ":1:0:" in block]
    assert done == [*first, last[0]]
    assert report.resumed_blocks == len(last) - 1


def test_journal_cut_short(source: Path, target: Path, plan_passes: Plan) -> None:
    """A block whose line was cut short is done again."""
    request = plan_passes(1)
    blocks = blocks_of(source, **request)
    run_until(source, target, 5, **request)
    journal = Draft(target).journal
    journal.write_bytes(journal.read_bytes()[:-30])
    report, done = go_on(source, target, **request)
    assert report.resumed_blocks == 4
    assert done == blocks[4:]


def test_restart_of_the_machine(source: Path, target: Path, plan_passes: Plan) -> None:
    """Blocks that a lost machine may have lost are done again."""
    request = plan_passes(1)
    run_until(source, target, 5, **request)
    journal = Draft(target).journal
    lines = [json.loads(line) for line in journal.read_text().splitlines() if line]
    lines[0]["boot"] = "another"
    lines.insert(4, {"synced": True})
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report, _ = go_on(source, target, **request)
    assert report.resumed_blocks == 3


def test_foreign_file_in_the_draft(source: Path, target: Path, plan_passes: Plan) -> None:
    """A key that no block wrote is never published."""
    request = plan_passes(1)
    run_until(source, target, 5, **request)
    (Draft(target).data / "c" / "99").mkdir(parents=True)
    (Draft(target).data / "c" / "99" / "0").write_text("not mine")
    with pytest.raises(zarrmill.PublishError, match="draft"):
        zarrmill.rechunk(source, target, **request, sync=False)
    assert not target.exists()


@pytest.mark.parametrize("verify", ["full", "written"])
def test_wrong_bytes_of_a_finished_block(source: Path, target: Path, plan_passes: Plan, verify: str) -> None:
    """A key that changed after it was checked, but kept its size, still has its own checksums to show it."""
    request = plan_passes(1, verify=verify)
    run_until(source, target, 5, **request)
    key = min(path for path in Draft(target).data.rglob("*") if path.is_file())
    data = bytearray(key.read_bytes())
    data[100] ^= 1
    key.write_bytes(data)
    zarrmill.rechunk(source, target, **request, sync=False)
    with pytest.raises(ValueError, match="checksum"):
        zarr.open_array(target, mode="r")[:]


def test_digest_that_differs_starts_again(
    source: Path, target: Path, plan_passes: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written otherwise than it was read is never published, and the next run does all of it again."""
    request = plan_passes(1)
    run_until(source, target, 5, **request)
    journal = Draft(target).journal
    lines = [json.loads(line) for line in journal.read_text().splitlines() if line]
    share = lines[1]["facts"]["target_share"]
    lines[1]["facts"]["target_share"] = lines[1]["facts"]["source_share"].replace("a", "b").replace("1", "2")
    assert lines[1]["facts"]["target_share"] != share
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(zarrmill.VerifyError, match="not published"):
        zarrmill.rechunk(source, target, **request, sync=False)
    assert not target.exists()
    report, _ = go_on(source, target, **request)
    assert report.resumed_blocks == 0


def test_space_that_the_intermediate_has_counts(
    source: Path, target: Path, plan_passes: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that continues does not ask for the space of its intermediate twice."""
    request = plan_passes(2)
    blocks = blocks_of(source, **request)
    run_until(source, target, len(blocks) - 3, **request)
    needed = zarrmill.plan_rechunk(source, **request).scratch_bytes
    usage = type(shutil.disk_usage(target.parent))
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(needed, needed // 2, needed // 2))
    report, _ = go_on(source, target, **request)
    assert report.resumed_blocks == len(blocks) - 3
