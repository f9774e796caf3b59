"""commit_target.py: a rechunk whose publishing is one commit, and rechunks from repositories."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import icechunk
import numpy as np
import pytest
import zarr
from typer.testing import CliRunner
from zarr.storage import StorePath

import zarrmill
from tests.servers.nursery import get_nursery
from zarrmill.cli import app
from zarrmill.commit_target import READ_BYTES, WRITTEN_BYTES, CommitTarget
from zarrmill.errors import (
    AlreadyExistsError,
    BlockFailedError,
    InvalidInputError,
    MemoryLimitError,
    NotFoundError,
    PublishError,
    ResumeError,
    VerifyError,
)
from zarrmill.keyspace.zarr_keys import ZarrKeys
from zarrmill.plan import arrays
from zarrmill.plan.memory import SLACK
from zarrmill.progress import BlockFinished, BlockRetried, RunFinished, StepStarted

FLUX = np.random.default_rng(3).integers(0, 4096, size=(300, 80)).astype("f8") / 8
FLUX[:30] = -0.0
LAYOUT = {"chunks": {"flux": (10, 80)}, "shards": {"flux": (100, 80)}}
SRC = Path(zarrmill.__file__).parents[1]


@pytest.fixture(scope="module")
def source_once(tmp_path_factory):
    """A group with numbers, text and a group within; some chunks were never written, and nobody writes there."""
    path = tmp_path_factory.mktemp("source") / "source.zarr"
    group = zarr.create_group(path, attributes={"survey": "x"})
    group.create_array("flux", shape=FLUX.shape, chunks=(300, 8), dtype="f8", dimension_names=("object", "epoch"))[
        :
    ] = FLUX
    group.create_array("meta/name", shape=(5,), chunks=(2,), dtype=str)[:] = np.array(list("abcde"), dtype=object)
    group.create_array("meta/empty", shape=(50,), chunks=(10,), dtype="i2", fill_value=3)[5:7] = 1
    return path


@pytest.fixture
def source(source_once, tmp_path):
    """A copy of that group."""
    return Path(shutil.copytree(source_once, tmp_path / "source.zarr"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "repo"


@pytest.fixture
def repository(folder):
    icechunk.set_logs_filter("error")
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(folder)))


def tip(repository):
    return repository.readonly_session("main").store


def keys(store):
    from zarr.core.sync import sync

    async def all_keys():
        return [key async for key in store.list()]

    return sorted(sync(all_keys()))


def at_message(kind, name, call):
    def progress(message):
        if isinstance(message, kind) and getattr(message, "name", None) in (name, None):
            call()

    return progress


@pytest.mark.parametrize("kind", ["text", "repository", "session", "store", "path"])
@pytest.mark.parametrize("verify", ["full", "written", "none"])
def test_one_commit_holds_the_copy(source, folder, repository, kind, verify):
    """Whatever names the target, values, metadata and layout are there after one commit."""
    session = repository.writable_session("main")
    target = {
        "text": f"icechunk://{folder}",
        "repository": repository,
        "session": session,
        "store": session.store,
        "path": StorePath(session.store, "x/y"),
    }[kind]
    report = zarrmill.rechunk(source, target, verify=verify, **LAYOUT)
    copy = zarr.open_group(tip(repository), path="x/y" if kind == "path" else "", mode="r")

    np.testing.assert_array_equal(copy["flux"][:], FLUX)
    assert np.signbit(copy["flux"][:30]).all()
    assert (copy["flux"].chunks, copy["flux"].shards) == ((10, 80), (100, 80))
    assert copy["flux"].metadata.dimension_names == ("object", "epoch")
    assert dict(copy.attrs) == {"survey": "x"}
    assert list(copy["meta/name"][:]) == list("abcde")
    messages = [snapshot.message for snapshot in repository.ancestry(branch="main")]
    assert (messages[0], len(messages)) == (f"zarrmill: rechunk of {source}", 2)
    assert report.digest == (zarrmill.digest(source) if verify == "full" else None)
    assert f"committed as snapshot {repository.lookup_branch('main')}" in report.notes


def test_missing_chunks_stay_missing(source, repository):
    """Of an array of fill values only what differs is stored; the report counts what was left out."""
    report = zarrmill.rechunk(source, repository, chunks={"meta/empty": (10,)}, shards=None)

    assert [key for key in keys(tip(repository)) if key.startswith("meta/empty/c")] == ["meta/empty/c/0"]
    assert report.keys_empty == 4


def test_nothing_is_visible_before_the_commit(source, repository):
    """While blocks run, and while all is checked, the branch is as it was."""
    seen = []
    zarrmill.rechunk(
        source, repository, progress=lambda message: seen.append((type(message), keys(tip(repository)))), **LAYOUT
    )

    assert {kind for kind, _ in seen} >= {BlockFinished, StepStarted}
    assert all(not found for kind, found in seen if kind is not RunFinished)
    assert seen[-1][1]


def test_target_that_is_made_by_its_name(source, folder, tmp_path):
    """A repository, and the groups above a path, come to be; nothing is left beside it."""
    report = zarrmill.rechunk(source, f"icechunk://{folder}?path=surveys/first", executor="serial", **LAYOUT)

    assert zarrmill.digest(f"icechunk://{folder}?path=surveys/first") == report.digest
    assert zarrmill.info(f"icechunk://{folder}").groups == ("", "surveys", "surveys/first", "surveys/first/meta")
    assert sorted(os.listdir(tmp_path)) == ["repo", "source.zarr"]
    assert report.target == f"icechunk://{folder}?branch=main&path=surveys/first"


def test_array_above_the_path_is_no_group(source, folder, repository):
    """Nothing can lie in an array."""
    session = repository.writable_session("main")
    zarr.create_array(session.store, name="a", shape=(3,), dtype="i4")
    session.commit("a")

    with pytest.raises(InvalidInputError, match=r"path=a/b lies in an array \(a/zarr\.json\)"):
        zarrmill.rechunk(source, f"icechunk://{folder}?path=a/b", **LAYOUT)


def test_existing_nodes_are_replaced_only_when_asked(source, folder, repository):
    """Then the old node is gone from the tip, with everything in it, and stays in the history; others stay."""
    session = repository.writable_session("main")
    zarr.create_array(session.store, name="x/old", shape=(3,), dtype="i4")[:] = 1
    zarr.create_array(session.store, name="other", shape=(3,), dtype="i4")[:] = 2
    before = session.commit("old")
    target = f"icechunk://{folder}?path=x"
    with pytest.raises(AlreadyExistsError, match=r"there is a node at .*path=x"):
        zarrmill.rechunk(source, target, **LAYOUT)
    assert repository.lookup_branch("main") == before
    zarrmill.rechunk(source, target, overwrite=True, **LAYOUT)

    assert "old" not in zarr.open_group(tip(repository), path="x", mode="r")
    assert zarr.open_array(tip(repository), path="other", mode="r")[0] == 2
    history = repository.readonly_session(snapshot_id=before).store
    assert zarr.open_array(history, path="x/old", mode="r")[0] == 1


def test_a_node_can_be_rechunked_in_place(source, folder, repository):
    """What is read is a snapshot, so that the node that is read may be the one that is replaced."""
    digest = zarrmill.rechunk(source, repository, **LAYOUT).digest
    zarrmill.rechunk(repository, repository, chunks={"flux": (60, 20)}, shards=None, overwrite=True)

    assert zarr.open_array(tip(repository), path="flux", mode="r").chunks == (60, 20)
    assert zarrmill.digest(repository) == digest


def test_intermediates_lie_beside_the_repository(tmp_path, folder, monkeypatch):
    """A plan of two passes works, and nothing of it is left."""
    monkeypatch.setattr(arrays, "one_pass_candidates", lambda *args, **options: [])
    monkeypatch.setattr(arrays, "SMALL", 0)
    values = np.random.default_rng(1).normal(size=(600, 500))
    zarr.create_array(tmp_path / "s", data=values, chunks=(600, 5))
    seen = set()
    report = zarrmill.rechunk(
        tmp_path / "s",
        f"icechunk://{folder}",
        chunks=(5, 500),
        shards=(60, 500),
        max_mem="80MiB",
        progress=lambda message: seen.update(os.listdir(tmp_path)),
    )

    assert report.arrays[0].passes == 2
    assert len(seen) == 3
    assert sorted(os.listdir(tmp_path)) == ["repo", "s"]
    assert report.digest == zarrmill.digest(tmp_path / "s")


def test_intermediates_go_where_they_are_told_to(tmp_path, repository, monkeypatch):
    """Of a repository that does not tell its place they go to the folder given, or to that for large files."""
    monkeypatch.setattr(arrays, "one_pass_candidates", lambda *args, **options: [])
    monkeypatch.setattr(arrays, "SMALL", 0)
    monkeypatch.setattr("zarrmill.commit_target.STORE_SCRATCH", tmp_path / "large")
    zarr.create_array(tmp_path / "s", data=np.random.default_rng(1).normal(size=(600, 500)), chunks=(600, 5))
    options = {"chunks": (5, 500), "shards": (60, 500), "max_mem": "80MiB", "overwrite": True}
    with pytest.raises(NotFoundError, match=r"scratch folder .* is not there"):
        zarrmill.rechunk(tmp_path / "s", repository, scratch=tmp_path / "no", **options)
    (tmp_path / "given").mkdir()
    for name, scratch in {"given": tmp_path / "given", "large": None}.items():
        seen = set()
        zarrmill.rechunk(
            tmp_path / "s",
            repository,
            scratch=scratch,
            progress=lambda message, name=name, seen=seen: seen.update(map(str, (tmp_path / name).rglob("*.tile"))),
            **options,
        )
        assert seen
        assert os.listdir(tmp_path / name) == []


def test_limit_that_nothing_fits_makes_no_repository(source, folder):
    """A plan comes first."""
    with pytest.raises(MemoryLimitError):
        zarrmill.rechunk(source, f"icechunk://{folder}", max_mem="1MiB", **LAYOUT)

    assert not folder.exists()


@pytest.mark.parametrize("name", ["processes", "tcp://127.0.0.1:9", "pool"])
def test_a_session_lives_in_one_process(source, repository, name):
    """Executors of other processes, and pools of the caller's, are refused before anything is opened."""
    with ThreadPoolExecutor(1) as pool, pytest.raises(InvalidInputError, match="Use 'threads' or 'serial'"):
        zarrmill.rechunk(source, repository, executor=pool if name == "pool" else name, **LAYOUT)


def test_what_is_stored_otherwise_is_found(source, repository, monkeypatch):
    """A value that changed on its way is seen when it is read back through the session, and nothing is committed."""
    write = ZarrKeys.put

    def flip(self, key, data):
        data = bytearray(data)
        if key == "c/1/0":
            data[100] ^= 1
        return write(self, key, bytes(data))

    monkeypatch.setattr(ZarrKeys, "put", flip)
    with pytest.raises((BlockFailedError, VerifyError)):
        zarrmill.rechunk(source, repository, **LAYOUT)

    assert keys(tip(repository)) == []


def test_other_bytes_than_those_written_are_found(source, repository, monkeypatch):
    """``verify="written"`` compares the checksums of the stored keys."""
    monkeypatch.setattr("zarrmill.execute.written_check.stored_crc32c", lambda array, key: 1)
    with pytest.raises(BlockFailedError, match="the stored bytes have the checksum 00000001"):
        zarrmill.rechunk(source, repository, verify="written", **LAYOUT)

    assert keys(tip(repository)) == []


def test_lost_keys_are_found_before_the_commit(source, repository):
    """A key that is no longer in the session as it was written stops the commit."""
    from zarr.core.sync import sync

    session = repository.writable_session("main")

    def lose():
        sync(session.store.delete("flux/c/1/0"))

    with pytest.raises(PublishError, match="flux: keys of 1 blocks are no longer in the draft"):
        zarrmill.rechunk(source, session, progress=at_message(StepStarted, "check", lose), **LAYOUT)
    assert keys(tip(repository)) == []
    assert not session.has_uncommitted_changes


def test_faults_of_the_store_are_tried_again(source, repository, monkeypatch):
    """What icechunk raises may pass; what does not ends in one line that claims no resume."""
    write, left, told = icechunk.IcechunkStore.set, [1], []

    async def fail(self, key, value):
        if left and key.startswith("flux/c"):
            left.pop()
            raise icechunk.IcechunkError("a\nb")
        await write(self, key, value)

    monkeypatch.setattr(icechunk.IcechunkStore, "set", fail)
    monkeypatch.setattr("zarrmill.execute.run.RETRY_SECONDS", 0.0)
    zarrmill.rechunk(source, repository, progress=told.append, **LAYOUT)
    assert sum(isinstance(message, BlockRetried) for message in told) == 1
    left.extend([1] * 100)
    with pytest.raises(BlockFailedError, match="Nothing of this run is visible: run again") as failed:
        zarrmill.rechunk(source, repository, overwrite=True, **LAYOUT)

    assert "continues" not in str(failed.value)


def test_conflicting_commit_is_a_publish_error(source, repository):
    """Someone else's node at the same path is kept, and the message says what to do."""

    def commit():
        session = repository.writable_session("main")
        zarr.create_array(session.store, shape=(3,), dtype="i4")
        session.commit("theirs")

    with pytest.raises(PublishError, match="another commit has changed what this one writes"):
        zarrmill.rechunk(source, repository, progress=at_message(StepStarted, "publish", commit), **LAYOUT)
    assert keys(tip(repository)) == ["zarr.json"]


def test_commits_of_other_nodes_do_not_matter(source, folder, repository):
    """A run of hours does not fail because the branch went on."""
    session = repository.writable_session("main")
    zarr.create_group(session.store)
    session.commit("root")

    def commit():
        session = repository.writable_session("main")
        zarr.create_array(session.store, name="theirs", shape=(3,), dtype="i4")
        session.commit("theirs")

    progress = at_message(StepStarted, "publish", commit)
    zarrmill.rechunk(source, f"icechunk://{folder}?path=ours", progress=progress, **LAYOUT)

    assert sorted(zarr.open_group(tip(repository), mode="r")) == ["ours", "theirs"]


CHILD = """
import json, os, signal, sys
import zarrmill
from zarrmill.keyspace.zarr_keys import ZarrKeys
from zarrmill.plan import arrays
from zarrmill.plan.memory import SLACK
from zarrmill.progress import BlockFinished

source, target, options, passes = json.loads(sys.argv[1])
if passes > 1:
    arrays.SMALL = 0
    arrays.one_pass_candidates = lambda *args, **options: []

def strike(message):
    if isinstance(message, BlockFinished):
        os.kill(os.getpid(), signal.SIGKILL)

zarrmill.rechunk(source, target, progress=strike, **options)
"""


@pytest.mark.slow
@pytest.mark.parametrize("passes", [1, 2])
def test_a_killed_run_starts_again(tmp_path, folder, passes):
    """Nothing of it is visible; the next run does everything, and removes what the first one left."""
    zarr.create_array(tmp_path / "s", data=np.random.default_rng(1).normal(size=(600, 500)), chunks=(600, 5))
    target, options = f"icechunk://{folder}", {"chunks": [5, 500], "shards": [60, 500], "max_mem": "80MiB"}
    order = json.dumps([str(tmp_path / "s"), target, options, passes])
    child = get_nursery().start(["-c", CHILD, order])
    _, err = child.communicate()
    assert child.returncode == -signal.SIGKILL, err
    assert len(os.listdir(tmp_path)) == 3
    with pytest.raises(zarrmill.ZarrmillError):
        zarrmill.digest(target)
    report = zarrmill.rechunk(tmp_path / "s", target, chunks=(5, 500), shards=(60, 500), max_mem="80MiB")

    assert report.resumed_blocks == 0
    assert report.digest == zarrmill.digest(tmp_path / "s")
    assert sorted(os.listdir(tmp_path)) == ["repo", "s"]


@pytest.mark.slow
def test_peak_within_the_limit(tmp_path):
    """The limit holds in a fresh process, with the shards that wait for the repository."""
    values = np.random.default_rng(1).integers(0, 4096, size=(1000, 4000)).astype("f8")
    zarr.create_array(tmp_path / "s", data=values, chunks=(1000, 40))
    code = (
        "import sys, json, zarrmill, icechunk;"
        "r = zarrmill.rechunk(sys.argv[1], sys.argv[2], chunks=(20, 4000), shards=(100, 4000), max_mem='96MiB');"
        "print(json.dumps([r.peak_mem, r.arrays[0].passes]))"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "s"), f"icechunk://{tmp_path / 'repo'}"]
    done = subprocess.run(
        arguments, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(SRC)}
    )
    peak, _ = json.loads(done.stdout)

    assert 0 < peak <= 96 * 2**20


def test_repository_as_a_source(source, repository, tmp_path):
    """A snapshot is read, in other processes too."""
    zarrmill.rechunk(source, repository, **LAYOUT)
    for name, executor in {"a": "threads", "b": "processes"}.items():
        report = zarrmill.rechunk(
            repository, tmp_path / name, chunks={"flux": (300, 8)}, shards=None, executor=executor, workers=2
        )
        assert report.source == f"icechunk://?snapshot={repository.lookup_branch('main')}"
        assert report.digest == zarrmill.digest(source)

    assert zarrmill.verify(source, repository).problems == ()


def test_source_that_moved_on_is_another(source, folder, repository, tmp_path):
    """A draft of one snapshot is not continued with another, though the branch has the same name."""
    zarrmill.rechunk(source, repository, **LAYOUT)
    options = {"chunks": {"flux": (300, 8)}, "shards": None}

    def stop(message):
        if isinstance(message, BlockFinished):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zarrmill.rechunk(f"icechunk://{folder}", tmp_path / "t", progress=stop, **options)
    session = repository.writable_session("main")
    zarr.open_array(session.store, path="flux")[0, 0] = 5
    session.commit("changed")

    with pytest.raises(ResumeError, match=r"source\.location"):
        zarrmill.rechunk(f"icechunk://{folder}", tmp_path / "t", **options)


def test_plan_makes_no_repository(source, folder):
    """A plan says where it will be written, and writes nothing."""
    plan = zarrmill.plan_rechunk(source, f"icechunk://{folder}", **LAYOUT)
    report = zarrmill.estimate(source, f"icechunk://{folder}", **LAYOUT)

    assert report.target == plan.target == f"icechunk://{folder}?branch=main"
    assert plan.remote.target
    assert not folder.exists()


def test_array_jobs_are_refused(source, folder, tmp_path):
    """Their processes could not share the session; the message says what to use, and nothing is written."""
    plan = zarrmill.plan_rechunk(source, f"icechunk://{folder}", **LAYOUT)
    calls = (
        lambda: zarrmill.write_plan(plan, tmp_path / "plan.json"),
        lambda: zarrmill.run_blocks(plan, stage=1),
        lambda: zarrmill.check_draft(f"icechunk://{folder}"),
        lambda: zarrmill.publish_draft(f"icechunk://{folder}"),
    )
    for call in calls:
        with pytest.raises(InvalidInputError, match=r"array jobs cannot write to .* Use zarrmill rechunk\."):
            call()

    assert os.listdir(tmp_path) == ["source.zarr"]


def test_discard_removes_what_a_killed_run_left(source, folder, tmp_path, monkeypatch):
    """The draft of the intermediates, in the folder given too, where nobody wants to run again."""

    def stop(message):
        if isinstance(message, BlockFinished):
            raise KeyboardInterrupt

    monkeypatch.setattr(arrays, "one_pass_candidates", lambda *args, **options: [])
    monkeypatch.setattr(arrays, "SMALL", 0)
    monkeypatch.setattr(CommitTarget, "close", lambda target: target._draft.release())
    (tmp_path / "scratch").mkdir()
    target = f"icechunk://{folder}?path=x"
    with pytest.raises(KeyboardInterrupt):
        zarrmill.rechunk(source, target, progress=stop, scratch=tmp_path / "scratch", arrays=["flux"], **LAYOUT)
    assert list((tmp_path / "scratch").rglob("*.tile"))
    report = zarrmill.discard(target)

    assert len(report.removed) == 2
    assert sorted(os.listdir(tmp_path)) == ["repo", "scratch", "source.zarr"]
    assert os.listdir(tmp_path / "scratch") == []
    with pytest.raises(NotFoundError, match="There is nothing to discard"):
        zarrmill.discard(target)


def test_the_draft_goes_even_where_the_session_is_broken(source, folder, tmp_path, monkeypatch):
    """What the store makes of the end of a transaction does not leave intermediates behind."""

    def fail(session):
        raise icechunk.IcechunkError("gone")

    monkeypatch.setattr("zarrmill.work.run", lambda *args, **options: 1 / 0)
    monkeypatch.setattr(icechunk.Session, "discard_changes", fail)
    with pytest.raises(icechunk.IcechunkError, match="gone"):
        zarrmill.rechunk(source, f"icechunk://{folder}", **LAYOUT)

    assert sorted(os.listdir(tmp_path)) == ["repo", "source.zarr"]


def test_a_plan_counts_what_is_held_until_the_commit(source, folder):
    """icechunk remembers every key, so that many leave less room for tiles, and too many are refused."""
    chunks = {"flux": (1, 1)}
    here = zarrmill.plan_rechunk(source, "elsewhere.zarr", chunks=chunks, shards=None)
    plan = zarrmill.plan_rechunk(source, f"icechunk://{folder}", chunks=chunks, shards=None)
    keys_possible = sum(array.target.n_write_chunks for array in plan.arrays)

    assert plan.remote.held == WRITTEN_BYTES[True] * keys_possible
    assert plan.projected_mem >= here.projected_mem + plan.remote.held
    with pytest.raises(MemoryLimitError):
        zarrmill.plan_rechunk(source, plan.target, chunks=chunks, shards=None, max_mem=SLACK + plan.remote.held)


def test_a_plan_counts_what_is_held_of_a_source(source, repository, tmp_path):
    """icechunk remembers where every key is that may be read; of large values that is less."""
    zarrmill.rechunk(source, repository, chunks={"flux": (300, 40)}, shards=None, arrays=["flux"])
    large = zarrmill.plan_rechunk(repository, tmp_path / "t", chunks=None, shards=None)
    zarrmill.rechunk(source, repository, chunks={"flux": (300, 8)}, shards=None, arrays=["flux"], overwrite=True)
    small = zarrmill.plan_rechunk(repository, tmp_path / "t", chunks=None, shards=None)

    assert large.remote.held == 2 * READ_BYTES[False]
    assert small.remote.held == 10 * READ_BYTES[True]
    assert zarrmill.plan_rechunk(source, tmp_path / "t", chunks=None).remote.held == 0


def test_command_line(source, folder, tmp_path):
    """Every command takes the text of a location."""
    target = f"icechunk://{folder}?path=copy"

    def run(*arguments):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == 0, done.stderr
        return done.stdout

    assert "committed as snapshot" in run("rechunk", source, target, "--chunks", "flux:10,80", "--executor", "serial")
    assert run("digest", target) == run("digest", source)
    assert "flux" in run("info", target)
    run("verify", source, target)
    run("plan", target, "--chunks", "flux:300,8")
    run("rechunk", target, tmp_path / "back.zarr", "--chunks", "flux:300,8")
    assert run("digest", tmp_path / "back.zarr") == run("digest", source)


def test_interrupted_command_says_that_it_starts_again(source, folder, monkeypatch):
    """There is nothing to continue."""

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("zarrmill.work.run", interrupt)
    done = CliRunner().invoke(app, ["rechunk", str(source), f"icechunk://{folder}"])

    assert done.exit_code == 130
    assert done.stderr.endswith("interrupted. Nothing was committed; the same command starts again.\n")
